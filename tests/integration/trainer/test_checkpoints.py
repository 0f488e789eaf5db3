"""A run that is interrupted resumes, and its losses are those of one that was not."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from integration.trainer.conftest import TrainerPods
from integration.trainer.launchers import StartLaunchers
from integration.trainer.training_runs import BATCH, LENGTH, losses, make_run
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


def test_every_data_parallel_rank_writes_as_much_as_the_others(pods: TrainerPods) -> None:
    complete(pods.attempt(training=training(2, precision="bf16"), parallelism={"processes": 4}))
    (folder,) = checkpoints(pods)
    sizes = [file.stat().st_size for file in sorted(folder.glob("*.distcp"))]
    assert len(sizes) == 4
    assert max(sizes) <= 1.1 * min(sizes)


def damage(checkpoint: Path) -> None:
    data = next(checkpoint.glob("*.distcp"))
    data.write_bytes(data.read_bytes()[:-1] + b"!")


def test_a_damaged_checkpoint_never_makes_a_new_one_expire(pods: TrainerPods) -> None:
    keep = {"every": {"steps": 10}, "keep": {"last": 1}}
    complete(pods.attempt(training=training(4), checkpoint=keep))
    shutil.copytree(checkpoints(pods)[-1], checkpoints(pods)[-1].with_name("step-0000000010"))
    marker = checkpoints(pods)[-1] / "COMPLETE.json"
    marker.write_text(marker.read_text().replace('"step": 4', '"step": 10'))
    damage(checkpoints(pods)[-1])
    report = complete(pods.attempt(training=training(8), checkpoint=keep))
    assert report.training is not None
    assert report.training.from_step == 4
    names = [folder.name.lstrip("step-0") for folder in checkpoints(pods)]
    assert names == ["8", "10"]
    assert (checkpoints(pods)[0] / "COMPLETE.json").exists()
    assert (checkpoints(pods)[1] / "COMPLETE.json.unsound").exists()


def test_a_run_whose_checkpoints_are_all_damaged_never_starts_from_nothing(
    pods: TrainerPods,
) -> None:
    complete(pods.attempt(training=training(4), checkpoint={"every": {"steps": 2}}))
    for folder in checkpoints(pods):
        damage(folder)
    for _ in range(2):
        report = pods.attempt(training=training(8))
        assert report.exit_class is ExitClass.USER_ERROR
        assert "all checkpoints (of step 2, 4) are damaged; restore one" in report.message
    for folder in checkpoints(pods):
        shutil.rmtree(folder)
    again = complete(pods.attempt(training=training(8)))
    assert again.training is not None
    assert again.training.from_step == 0


@pytest.fixture
def mount(pods: TrainerPods) -> Iterator[Callable[..., None]]:
    """Mount a volume of so many megabytes, with more options, for the checkpoints of a run."""
    volume = pods.root / "checkpoints"
    volume.mkdir()

    def mount_volume(megabytes: int, *more: str) -> None:
        options = ",".join([f"size={megabytes}m", *more])
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(volume)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount file systems")

    yield mount_volume
    if volume.is_mount():
        subprocess.run(["umount", "-l", str(volume)], check=True)


@pytest.mark.parametrize(
    ("megabytes", "want"),
    [
        pytest.param(8, ": needs 2,", id="known before"),
        pytest.param(9, ": no space is left", id="found while writing"),
    ],
)
def test_a_full_volume_is_named_and_keeps_the_checkpoints_that_it_has(
    pods: TrainerPods, mount: Callable[..., None], megabytes: int, want: str
) -> None:
    """Two checkpoints find room, the third does not."""
    mount(megabytes)
    keep = {"every": {"steps": 1}, "keep": {"last": 3}}
    full = pods.attempt(training=training(4), checkpoint=keep)
    assert full.exit_class is ExitClass.INFRASTRUCTURE
    assert "/checkpoints/step-0000000003" in full.message
    assert want in full.message
    assert " free; free some, " in full.message.replace(" bytes free);", " are free;")
    assert [folder.name for folder in checkpoints(pods)] == ["step-0000000001", "step-0000000002"]
    assert full.checkpoint is not None
    assert full.checkpoint.step == 2

    less = {"every": {"steps": 1}, "keep": {"last": 1}}
    shutil.rmtree(checkpoints(pods)[0])  # what the message asks for
    report = complete(pods.attempt(training=training(4), checkpoint=less))
    assert report.training is not None
    assert report.training.from_step == 2


def test_a_volume_that_a_killed_attempt_filled_is_freed_by_the_next_one(
    mount: Callable[..., None], pods: TrainerPods, start: StartLaunchers
) -> None:
    mount(5)
    run = make_run(training=training(2), evaluation={"perplexity": False})
    half = pods.root / "checkpoints/pretrainjob-run/ffffffffffff/checkpoints/step-0000000009"
    half.mkdir(parents=True)
    with suppress(OSError), (half / "__0_0.distcp").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    (pod,) = start(run)
    complete(pod.report())
    assert not half.exists()


@pytest.mark.parametrize(
    ("model", "want"),
    [
        pytest.param({"layers": 2}, "(layers 4, not 2)", id="fewer layers"),
        pytest.param({"ffnHiddenSize": 256}, "(ffnHiddenSize 128, not 256)", id="wider"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused_with_the_sizes(
    model: dict[str, Any], want: str, pods: TrainerPods
) -> None:
    """Megatron-core would train the first layers, and leave the others out."""
    complete(pods.attempt(training=training(2)))
    report = pods.attempt(training=training(4), model=model)
    assert report.exit_class is ExitClass.USER_ERROR
    assert f"/step-0000000002: is the checkpoint of another model {want}" in report.message


def test_a_checkpoint_of_a_later_version_is_no_damaged_one(pods: TrainerPods) -> None:
    complete(pods.attempt(training=training(2)))
    (marker,) = (folder / "COMPLETE.json" for folder in checkpoints(pods))
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"ofALaterVersion": 1}))
    resumed = complete(pods.attempt(training=training(4)))
    assert resumed.training is not None
    assert resumed.training.from_step == 2


def test_a_volume_without_room_for_another_file_keeps_what_it_has(
    pods: TrainerPods, mount: Callable[..., None]
) -> None:
    mount(200, "nr_inodes=22")
    keep = {"every": {"steps": 1}, "keep": {"last": 9}}
    report = pods.attempt(training=training(6), checkpoint=keep)
    assert report.exit_class is ExitClass.INFRASTRUCTURE
    assert ": no space is left (" in report.message
    assert report.checkpoint is not None
    assert len(checkpoints(pods)) == report.checkpoint.step
    for folder in checkpoints(pods):
        assert (folder / "COMPLETE.json").exists()


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
