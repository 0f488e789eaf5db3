"""A spike of the loss: the run goes back to before it, and leaves out the data that led to it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integration.trainer.conftest import TrainerPods
from integration.trainer.training_runs import (
    BATCH,
    LENGTH,
    VOCABULARY,
    losses,
    write_block,
    write_dataset,
)
from pretrain_api.reports import ExitClass, ExitReport

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

GOOD, BAD, REST = 40, 4, 20
"""Steps of three blocks."""


def write_blocks(pods: TrainerPods, bad: int) -> None:
    """Write a dataset whose second block holds `bad` steps of noise."""
    folder = pods.root / "data"
    folder.unlink()
    write_dataset(folder, blocks=1, sequences=1)
    index = json.loads((folder / "blocks.json").read_text())
    index["blocks"] = []
    for number, steps in enumerate((GOOD, bad, REST)):
        path = f"blocks/{number:05d}"
        size = write_block(folder / path, steps * BATCH, number)
        index["blocks"].append({"path": path, **size})
    noise = np.random.default_rng(0).integers(0, VOCABULARY, bad * BATCH * LENGTH + 1)
    noise.astype(np.uint16).tofile(folder / "blocks/00001.bin")
    (folder / "blocks.json").write_text(json.dumps(index))


def run_with(folder: str, **recovery: Any) -> dict[str, Any]:
    return {
        "training": {
            "tokens": (GOOD + REST) * BATCH * LENGTH,
            "schedule": {"warmup": {"tokens": 0}, "decay": {"shape": "constant"}},
        },
        "checkpoint": {"uri": f"file:///pretrain/checkpoints/{folder}", "every": {"steps": 10}},
        "recovery": {"lossSpike": {"window": 16}, "skipSteps": BAD, **recovery},
        "evaluation": {"everySteps": 1000},
    }


def rollbacks(pods: TrainerPods) -> list[dict[str, Any]]:
    (path,) = (pods.root / "checkpoints").glob("run/*/*/rollbacks.json")
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found


def steps(pods: TrainerPods) -> list[int]:
    folders = (pods.root / "checkpoints").glob("run/*/*/checkpoints/step-*/COMPLETE.json")
    return sorted(int(path.parent.name.removeprefix("step-")) for path in folders)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_skips_noise_is_bitwise_one_that_never_had_it(
    processes: int, pods: TrainerPods
) -> None:
    layout = {"processes": processes}
    write_blocks(pods, BAD)
    spiked = pods.attempt(**run_with("run"), parallelism=dict(layout))
    assert spiked.exit_class is ExitClass.LOSS_SPIKE, spiked.message
    assert "the loss is " in spiked.message
    assert "block 1); the next attempt goes on from step 20 without samples 320 to 351" in (
        spiked.message
    )
    (only,) = rollbacks(pods)
    assert (only["step"], only["block"], only["resumeStep"]) == (43, 1, 20)
    assert spiked.training is not None
    assert spiked.training.rollbacks == 1
    assert spiked.checkpoint is not None
    assert spiked.checkpoint.step == 20, "steps since are lost"

    mended = pods.attempt(**run_with("run"), parallelism=dict(layout))
    assert mended.exit_class is ExitClass.COMPLETE, mended.message
    assert mended.training is not None
    assert (mended.training.from_step, mended.training.to_step) == (20, 60)
    assert mended.training.rollbacks == 1
    assert steps(pods) == [40, 50, 60], "those of the first attempt are gone"

    shutil.rmtree(pods.root / "data")
    (pods.root / "data").symlink_to(Path("/nowhere"))
    write_blocks(pods, 0)
    never = pods.attempt(**run_with("never"), parallelism=dict(layout))
    assert never.exit_class is ExitClass.COMPLETE, never.message
    assert losses(mended) == losses(never)
    assert never.training is not None
    assert mended.training.perplexity == never.training.perplexity


def test_a_run_that_only_warns_goes_on(pods: TrainerPods) -> None:
    write_blocks(pods, BAD)
    warned = pods.attempt(**run_with("run", lossSpike={"window": 16, "action": "warn"}))
    assert warned.exit_class is ExitClass.COMPLETE, warned.message
    log = (pods.root / "attempt-1-pod-0/log.txt").read_text()
    assert "WARNING the loss has spiked at step 43: the loss is " in log


def test_a_number_that_is_none_is_skipped_too_and_a_run_that_always_has_one_ends_bounded(
    pods: TrainerPods,
) -> None:
    changes = run_with("run")
    changes["model"] = {"initStd": 1.0, "normEpsilon": 1.0}
    changes["training"] |= {
        # Each step multiplies the weights by 1 - learningRate · weightDecay = -9.
        "optimizer": {
            "learningRate": 10.0,
            "minLearningRate": 10.0,
            "weightDecay": 1.0,
            "gradientClip": 0.0,
        },
        "precision": "bf16",
    }
    seen: list[ExitReport] = []
    for number in (1, 2):
        seen.append(pods.attempt(**changes, parallelism={"processes": 2, "tensor": 2}))
        assert seen[-1].exit_class is ExitClass.NOT_A_NUMBER, seen[-1].message
        assert len(rollbacks(pods)) == number
    first, second = rollbacks(pods)
    assert first["cause"] == "notANumber"
    assert second["firstSample"] >= first["firstSample"]
    assert steps(pods) != [] or first["resumeStep"] == 0
