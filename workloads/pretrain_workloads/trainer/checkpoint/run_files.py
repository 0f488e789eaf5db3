"""The files of a run's checkpoints: in storage, and their index in a local folder."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pretrain_workloads.storage import Folder, local_path
from pretrain_workloads.trainer.checkpoint import store


@dataclass(frozen=True)
class RunFiles:
    """Where this rank reads and writes checkpoints.

    Tensors go to storage and come from there. Their index is a few small files, which Megatron-core
    wants in a local folder: on a volume that is the checkpoint's own.
    """

    folder: Folder
    """The run's folder in storage."""
    scratch: Path
    """Local folder of this rank alone, for storage that is no volume."""

    def uri(self, step: int) -> str:
        """Return the URI of a checkpoint."""
        return self.folder.uri_of(store.path_of(step))

    def local(self, step: int) -> Path:
        """Return the local folder with the index of a checkpoint."""
        if self.folder.is_local:
            return local_path(self.uri(step).removeprefix("file://"))
        return self.scratch / store.path_of(step)

    def fetch_index(self, marker: store.Marker) -> None:
        """Download the index of a checkpoint, unless it is on a volume."""
        if self.folder.is_local:
            return
        path = store.path_of(marker.step)
        for file in marker.files:
            if not file.path.endswith(store.TENSORS):
                self.folder.download(f"{path}/{file.path}", self.local(marker.step) / file.path)

    def fetch(self, step: int) -> Path:
        """Return a local folder with the whole checkpoint of a step."""
        if not self.folder.is_local:
            self.discard_local()
            self.folder.download(store.path_of(step), self.local(step))
        return self.local(step)

    def discard_local(self) -> None:
        """Delete the local copies of this rank."""
        if not self.folder.is_local:
            shutil.rmtree(self.scratch, ignore_errors=True)
