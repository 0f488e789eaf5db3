"""Silent mistakes of upstream, which only show inside a rank."""

import json
from typing import Any

import pytest

from integration.trainer.programs import run_program
from integration.trainer.training_runs import BATCH, LENGTH, make_run, write_dataset
from ports import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def rank_state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """State of a rank after a resume."""
    root = tmp_path_factory.mktemp("rank")
    (root / "spec").mkdir()
    (root / "scratch").mkdir()
    write_dataset(root / "data")
    training = {
        "tokens": 3 * BATCH * LENGTH,
        "optimizer": {"learningRate": 3e-3, "minLearningRate": 3e-4, "gradientClip": 0.0},
    }
    run = make_run(training=training, evaluation={"perplexity": False})
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
    value: dict[str, Any] = run_program("inside_a_rank.py", **rank)
    return value


def test_every_parameter_counts_one_step_more_after_a_resume(rank_state: dict[str, Any]) -> None:
    """One step tensor for all parameters would grow by their number in each step."""
    assert rank_state["saved"] == 3
    assert len(rank_state["steps"]) > 10
    assert set(rank_state["steps"]) == {4}


def test_a_gradient_that_is_no_number_never_reaches_the_weights(rank_state: dict[str, Any]) -> None:
    """Without clipping, Megatron-core neither computes nor checks the gradient's norm."""
    assert "the norm of the gradient is nan, the loss " in rank_state["norm"]["failure"]
    assert rank_state["norm"]["changed"] == 0


def test_a_save_holds_the_weights_from_when_it_began(rank_state: dict[str, Any]) -> None:
    assert rank_state["isolated"]


def test_random_states_of_another_kind_of_device_are_left_alone(rank_state: dict[str, Any]) -> None:
    """Such a checkpoint is continued otherwise: a run may move from a GPU to a CPU."""
    assert rank_state["moved"]


def test_a_pattern_for_another_pipeline_is_refused(rank_state: dict[str, Any]) -> None:
    """Megatron-core would build the first half of the model and train that."""
    assert "holds 4 half layers of 8" in rank_state["refusal"]
