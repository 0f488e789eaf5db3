"""Mistakes that upstream makes without a word, and that only a look inside a rank shows."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from integration.trainer.training_runs import BATCH, LENGTH, make_run, write_dataset
from ports import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a rank found when it looked into itself."""
    root = tmp_path_factory.mktemp("rank")
    (root / "spec").mkdir()
    (root / "scratch").mkdir()
    write_dataset(root / "data")
    run = make_run(training={"tokens": 3 * BATCH * LENGTH}, evaluation={"perplexity": False})
    (root / "spec/spec.json").write_text(json.dumps(run))
    rank = {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "GLOO_SOCKET_IFNAME": "lo",
        "PRETRAIN_ROOT": str(root),
    }
    program = Path(__file__).with_name("inside_a_rank.py")
    output = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, **rank},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    value: dict[str, Any] = json.loads(output.splitlines()[-1])
    return value


def test_every_parameter_counts_one_step_more_after_a_resume(found: dict[str, Any]) -> None:
    """One step tensor for all parameters would grow by their number in each step."""
    assert found["saved"] == 3
    assert len(found["steps"]) > 10
    assert set(found["steps"]) == {4}


def test_a_pattern_for_another_pipeline_is_refused(found: dict[str, Any]) -> None:
    """Megatron-core would build the first half of the model and train that."""
    assert "holds 4 half layers of 8" in found["refusal"]
