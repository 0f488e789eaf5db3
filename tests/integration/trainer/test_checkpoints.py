"""A run that is interrupted resumes, and its losses are those of one that was not."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from integration.trainer.conftest import TrainerPods
from integration.trainer.training_runs import BATCH, LENGTH, losses
from pretrain_api.reports import ExitClass, ExitReport

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

GRID = {"processes": 4, "tensor": 2, "pipeline": 2}
DECAY = {"schedule": {"decay": {"tokens": 10 * BATCH * LENGTH}}}


def training(steps: int, **changes: Any) -> dict[str, Any]:
    """Return a training of so many steps whose learning rate does not depend on them."""
    return {"tokens": steps * BATCH * LENGTH, **DECAY, **changes}


def checkpoints(pods: TrainerPods) -> list[Path]:
    return sorted((pods.root / "checkpoints").glob("*/*/checkpoints/*"))


def complete(report: ExitReport) -> ExitReport:
    assert report.exit_class is ExitClass.COMPLETE, report.message
    return report


def test_a_resumed_run_is_bitwise_the_undisturbed_one(pods: TrainerPods) -> None:
    complete(pods.attempt(training=training(4), parallelism=dict(GRID)))
    resumed = complete(pods.attempt(training=training(8), parallelism=dict(GRID)))
    assert resumed.training is not None
    assert (resumed.training.from_step, resumed.training.to_step) == (4, 8)
    for folder in checkpoints(pods):
        (folder / "COMPLETE.json").unlink()
    undisturbed = complete(pods.attempt(training=training(8), parallelism=dict(GRID)))
    assert losses(resumed) == losses(undisturbed)
    assert undisturbed.training is not None
    assert resumed.training.initial_perplexity == undisturbed.training.initial_perplexity
    assert resumed.training.perplexity == undisturbed.training.perplexity


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param({}, id="one process"),
        pytest.param({"processes": 2, "pipeline": 2, "virtualPipeline": 2}, id="interleaved"),
        pytest.param({"processes": 4, "tensor": 2}, id="tensor 2 x data 2"),
    ],
)
def test_a_checkpoint_continues_under_another_layout(
    layout: dict[str, Any], pods: TrainerPods
) -> None:
    complete(pods.attempt(training=training(4), parallelism=dict(GRID)))
    resumed = complete(pods.attempt(training=training(8), parallelism=dict(layout)))
    for folder in checkpoints(pods):
        (folder / "COMPLETE.json").unlink()
    undisturbed = complete(pods.attempt(training=training(8)))
    assert losses(resumed) == pytest.approx(losses(undisturbed), abs=1e-5)


def test_old_checkpoints_go_and_milestones_stay(pods: TrainerPods) -> None:
    report = complete(
        pods.attempt(
            training=training(7),
            checkpoint={"every": {"steps": 1}, "keep": {"last": 2, "everySteps": 3}},
        )
    )
    names = [folder.name.lstrip("step-0") for folder in checkpoints(pods)]
    assert names == ["3", "6", "7"]
    assert report.checkpoint is not None
    assert report.checkpoint.step == 7
    files = [file for file in checkpoints(pods)[-1].iterdir() if file.name != "COMPLETE.json"]
    assert report.checkpoint.bytes == sum(file.stat().st_size for file in files)


def test_a_broken_checkpoint_is_skipped_and_the_one_before_used(pods: TrainerPods) -> None:
    first = complete(pods.attempt(training=training(6), checkpoint={"every": {"steps": 2}}))
    data = next(checkpoints(pods)[-1].glob("*.distcp"))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    (checkpoints(pods)[-2] / "COMPLETE.json").unlink()
    second = complete(pods.attempt(training=training(6), checkpoint={"every": {"steps": 2}}))
    assert second.training is not None
    assert second.training.from_step == 2
    assert losses(second) == losses(first)


def test_another_kind_of_optimizer_is_refused_with_the_field(pods: TrainerPods) -> None:
    complete(pods.attempt(training=training(2)))
    report = pods.attempt(training=training(4), parallelism={"distributedOptimizer": False})
    assert report.exit_class is ExitClass.USER_ERROR
    assert "spec.parallelism.distributedOptimizer: false" in report.message
    assert "change it back" in report.message


def test_every_parameter_counts_its_own_steps_after_a_resume(pods: TrainerPods) -> None:
    """One step tensor for all parameters would grow by their number in each step."""
    complete(pods.attempt(training=training(3)))
    resumed = complete(pods.attempt(training=training(8)))
    for folder in checkpoints(pods):
        (folder / "COMPLETE.json").unlink()
    undisturbed = complete(pods.attempt(training=training(8)))
    assert losses(resumed)[-4:] == losses(undisturbed)[-4:]


def test_the_marker_lists_every_file_with_its_checksum(pods: TrainerPods) -> None:
    complete(pods.attempt(training=training(2), parallelism={"processes": 2, "pipeline": 2}))
    (folder,) = checkpoints(pods)
    marker = json.loads((folder / "COMPLETE.json").read_text())
    names = sorted(file.name for file in folder.iterdir() if file.name != "COMPLETE.json")
    assert sorted(file["path"] for file in marker["files"]) == names
    sums = {file["path"]: file["sha256"] for file in marker["files"]}
    read = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    assert sums == read
    assert (marker["step"], marker["samples"]) == (2, 2 * BATCH)
