"""Checkpoints in the run's folder: which exist, which are complete, sound, or expired.

A checkpoint is a folder `checkpoints/step-<number>` whose `COMPLETE.json` was written last and
lists its files with their checksums. Without it, there is no checkpoint. A damaged one is set
aside: it keeps its files, and its marker gets another name.
"""

import logging
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, ValidationError

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.meta import ApiModel, NonNegative
from pretrain_api.v1alpha1.pretrainjob import CheckpointRetention
from pretrain_api.v1alpha1.progress import CheckpointStatus, CurvePoint, Rollback, ValidationLoss
from pretrain_workloads.storage import Folder
from pretrain_workloads.storage.folder import stream_checksum
from pretrain_workloads.trainer.rollback.record import is_undone, read_rollbacks
from pretrain_workloads.trainer.rollback.spikes import SpikeState

log = logging.getLogger(__name__)

MARKER = "COMPLETE.json"
UNSOUND = "COMPLETE.json.unsound"
"""The marker of a checkpoint that was found damaged, under another name."""
TENSORS = ".distcp"
"""Suffix of the files with tensors; all others are small."""
_FOLDER = "checkpoints"
_PREFIX = "step-"


class Marker(ApiModel):
    """Content of `COMPLETE.json`: the files, and what a resumed run needs beside the tensors."""

    step: NonNegative
    """Optimizer steps done."""

    samples: NonNegative
    """Samples consumed."""

    tokens: NonNegative
    """Tokens consumed."""

    at: str
    """When it was saved, RFC 3339."""

    layout: list[int]
    """Parallel sizes of the ranks that saved it. Random states are only loaded with equal sizes."""

    shape: dict[str, int] = {}
    """Sizes of the model. Empty means that they were not recorded."""

    distributed_optimizer: bool
    """Whether the optimizer states were sharded over the data-parallel ranks."""

    learning_rate: float | None = None
    """Learning rate of the last step, if it was recorded."""

    initial_perplexity: float | None = None
    """Perplexity before the first step. Unset means that it was not measured."""

    initial_bits_per_byte: float | None = None
    """The same loss, in bits a byte of text. Unset means that it is not known."""

    validation: list[ValidationLoss] = []
    """Losses of the validation sets at the last evaluation before it, if there are several."""

    curve: list[CurvePoint] = []
    """Loss over the run so far."""

    rollbacks: NonNegative = 0
    """How many rollbacks of the run there were."""

    spikes: SpikeState = SpikeState()
    """What the steps so far are judged by."""

    read_checksum: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    """Checksum of all samples that the weights are from (`ReadChecksum`). Unset means unknown: an
    earlier version has trained a part of the run."""

    files: list[ArtifactFile]
    """All files of the checkpoint but this one."""

    def status(self, folder: Folder) -> CheckpointStatus:
        """Return the public status of the checkpoint in `folder`."""
        return CheckpointStatus(
            step=self.step,
            tokens=self.tokens,
            uri=folder.uri_of(path_of(self.step)),
            at=self.at,
            bytes=sum(file.bytes for file in self.files),
        )


@dataclass(frozen=True)
class Found:
    """What is in a run's folder, each kind newest first."""

    markers: list[Marker]
    """Checkpoints that are complete, as far as their markers tell."""
    unreadable: list[int]
    """Steps of checkpoints whose marker cannot be read."""
    unsound: list[int]
    """Steps of checkpoints that were set aside, because they were damaged."""
    incomplete: list[int]
    """Steps of checkpoints without a marker: their writers ended early."""
    undone: list[int] = field(default_factory=list)
    """Steps of checkpoints that a rollback has gone back before."""
    rollbacks: list[Rollback] = field(default_factory=list)
    """All rollbacks of the run, oldest first."""


def path_of(step: int) -> str:
    """Return the path of a checkpoint below the run's folder."""
    return f"{_FOLDER}/{_PREFIX}{step:010d}"


def find(folder: Folder) -> Found:
    """Return the checkpoints in `folder`, the folder of a run.

    Raises:
        BadData: If the list of the run's rollbacks is broken.
    """
    rollbacks = read_rollbacks(folder)
    names: dict[int, set[str]] = {}
    for file in folder.find(_FOLDER):
        _, name, *inside = file.path.split("/")
        if name.startswith(_PREFIX) and name.removeprefix(_PREFIX).isdigit():
            names.setdefault(int(name.removeprefix(_PREFIX)), set()).add("/".join(inside))
    markers, unreadable = [], []
    steps = sorted(names, reverse=True)
    for step in [step for step in steps if MARKER in names[step]]:
        file_path = f"{path_of(step)}/{MARKER}"
        try:
            # A later version may have written more than this one knows.
            content = folder.read_bytes(file_path)
            markers.append(Marker.model_validate_json(content, extra="ignore"))
        except ValidationError as error:
            log.warning("%s: is no list of files: %s", folder.uri_of(file_path), error.errors()[0])
            unreadable.append(step)
    rest = [step for step in steps if MARKER not in names[step]]
    undone = [one.step for one in markers if is_undone(one.step, one.rollbacks, rollbacks)]
    return Found(
        [one for one in markers if one.step not in undone],
        unreadable,
        unsound=[step for step in rest if UNSOUND in names[step]],
        incomplete=[step for step in rest if UNSOUND not in names[step]],
        undone=undone,
        rollbacks=rollbacks,
    )


def expired(steps: list[int], keep: CheckpointRetention) -> list[int]:
    """Return which of the sound checkpoints at `steps` are to be deleted."""
    newest = sorted(steps, reverse=True)[: keep.last]
    every = keep.every_steps
    return [step for step in steps if step not in newest and not (every and step % every == 0)]


def write_marker(folder: Folder, marker: Marker) -> None:
    """Write the marker of a checkpoint whose files are all there."""
    text = marker.model_dump_json(by_alias=True, exclude_none=True, indent=1)
    folder.write_bytes(f"{path_of(marker.step)}/{MARKER}", text.encode())


def delete(folder: Folder, step: int) -> None:
    """Delete a checkpoint, its marker first, so that the rest is never taken for a checkpoint."""
    folder.delete(f"{path_of(step)}/{MARKER}")
    folder.delete(path_of(step))


def delete_unusable(folder: Folder) -> None:
    """Delete incomplete and undone checkpoints. Call it only when nobody is writing one."""
    found = find(folder)
    for why, steps in (("incomplete", found.incomplete), ("undone by a rollback", found.undone)):
        for step in steps:
            log.warning("%s: is %s; deleted", folder.uri_of(path_of(step)), why)
            delete(folder, step)


def set_aside(folder: Folder, step: int) -> None:
    """Mark a checkpoint as damaged: it stays, but is neither loaded nor counted any more."""
    path = path_of(step)
    folder.write_bytes(f"{path}/{UNSOUND}", folder.read_bytes(f"{path}/{MARKER}"))
    folder.delete(f"{path}/{MARKER}")


def broken_files(folder: Folder, marker: Marker, share: int, shares: int) -> list[str]:
    """Return what is wrong with every `shares`-th file of a checkpoint, from the one at `share`.

    The ranks check one share each.
    """
    path = path_of(marker.step)
    sizes = {file.path: file.size for file in folder.find(path)}
    problems = []
    for file in marker.files[share::shares]:
        name = f"{path}/{file.path}"
        size = sizes.get(name)
        if size is None:
            problems.append(f"{folder.uri_of(name)}: is missing")
        elif size != file.bytes:
            problems.append(f"{folder.uri_of(name)}: has {size} bytes instead of {file.bytes}")
        elif file.sha256 is not None:
            with folder.open(name) as stream:
                if stream_checksum(stream) != file.sha256:
                    problems.append(f"{folder.uri_of(name)}: its checksum is wrong")
    return problems
