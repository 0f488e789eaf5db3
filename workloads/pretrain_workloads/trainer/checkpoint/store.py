"""Checkpoints in the run's folder: which exist, which are complete, sound, or expired.

A checkpoint is a folder `checkpoints/step-<number>` whose `COMPLETE.json` was written last and
lists its files with their checksums. Without it, there is no checkpoint.
"""

import logging
from pathlib import Path

from pydantic import ValidationError

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.meta import ApiModel, NonNegative
from pretrain_api.v1alpha1.pretrainjob import CheckpointRetention
from pretrain_api.v1alpha1.progress import CheckpointStatus, CurvePoint
from pretrain_workloads.storage import Folder
from pretrain_workloads.storage.folder import file_checksum

log = logging.getLogger(__name__)

MARKER = "COMPLETE.json"
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

    distributed_optimizer: bool
    """Whether the optimizer states were sharded over the data-parallel ranks."""

    initial_perplexity: float | None = None
    """Perplexity before the first step. Unset means that it was not measured."""

    curve: list[CurvePoint] = []
    """Loss over the run so far."""

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


def path_of(step: int) -> str:
    """Return the path of a checkpoint below the run's folder."""
    return f"{_FOLDER}/{_PREFIX}{step:010d}"


def find_markers(folder: Folder) -> list[Marker]:
    """Return the markers of complete checkpoints, newest first; skip those that cannot be read."""
    markers = []
    for file in folder.find(_FOLDER):
        if file.path.rpartition("/")[2] != MARKER:
            continue
        try:
            markers.append(Marker.model_validate_json(folder.read_bytes(file.path)))
        except ValidationError as error:
            log.warning(
                "%s: is no list of files; skipped: %s", folder.uri_of(file.path), error.errors()[0]
            )
    return sorted(markers, key=lambda marker: marker.step, reverse=True)


def find_incomplete(folder: Folder) -> list[str]:
    """Return the paths of checkpoints without a marker: their writers ended early."""
    files = [file.path.split("/") for file in folder.find(_FOLDER)]
    steps = {parts[1] for parts in files if len(parts) > 2}
    complete = {parts[1] for parts in files if parts[2:] == [MARKER]}
    return [f"{_FOLDER}/{step}" for step in sorted(steps - complete)]


def expired(steps: list[int], keep: CheckpointRetention) -> list[int]:
    """Return which of the checkpoints at `steps` are to be deleted."""
    newest = sorted(steps, reverse=True)[: keep.last]
    every = keep.every_steps
    return [step for step in steps if step not in newest and not (every and step % every == 0)]


def write_marker(folder: Folder, marker: Marker) -> None:
    """Write the marker of a checkpoint whose files are all there."""
    text = marker.model_dump_json(by_alias=True, exclude_none=True, indent=1)
    folder.write_bytes(f"{path_of(marker.step)}/{MARKER}", text.encode())


def delete(folder: Folder, path: str) -> None:
    """Delete a checkpoint, its marker first, so that the rest is never taken for a checkpoint."""
    folder.delete(f"{path}/{MARKER}")
    folder.delete(path)


def broken_files(uri: str, local: Path, marker: Marker, share: int, shares: int) -> list[str]:
    """Return what is wrong with every `shares`-th file of a checkpoint, from the one at `share`.

    `local` is the folder with the files of `uri`; the ranks that see it check one share each.
    """
    problems = []
    for file in marker.files[share::shares]:
        path, name = local / file.path, f"{uri}/{file.path}"
        if not path.is_file():
            problems.append(f"{name}: is missing")
        elif path.stat().st_size != file.bytes:
            problems.append(f"{name}: has {path.stat().st_size} bytes instead of {file.bytes}")
        elif file.sha256 is not None and file_checksum(path) != file.sha256:
            problems.append(f"{name}: its checksum is wrong")
    return problems
