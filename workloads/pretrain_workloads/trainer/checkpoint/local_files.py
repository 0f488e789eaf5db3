"""The local folder that ranks write a checkpoint into, and read it from.

On a volume, that is the checkpoint's folder itself. On S3, the ranks of each pod share a copy in
the pod's scratch, which is uploaded after a save and downloaded before a load.
"""

import shutil
from pathlib import Path
from typing import Any

import torch

from pretrain_api.artifacts import ArtifactFile
from pretrain_workloads.storage import Folder, local_path
from pretrain_workloads.storage.folder import file_checksum
from pretrain_workloads.trainer.megatron.process_groups import ProcessGroups


class LocalFiles:
    """Local folders of checkpoints. All ranks call every method together, except `fetch_alone`."""

    def __init__(self, folder: Folder, scratch: Path, groups: ProcessGroups) -> None:
        self._folder, self._scratch, self._groups = folder, scratch, groups

    @property
    def share(self) -> tuple[int, int]:
        """Return this rank's index among the ranks that see the same files, and their number."""
        if self._folder.is_local:
            return self._groups.rank, self._groups.world_size
        return self._groups.local_rank, self._groups.processes_per_node

    def create(self, path: str) -> Path:
        """Create the empty local folder of the checkpoint at `path` and return it."""
        local = self._local(path)
        if self.share[0] == 0:
            shutil.rmtree(local, ignore_errors=True)
            local.mkdir(parents=True)
        self._groups.barrier()
        return local

    def publish(self, local: Path, path: str) -> list[ArtifactFile]:
        """Upload the files to `path`, unless they are there, and return them with checksums.

        Each rank publishes the files that it wrote, and rank 0 the common ones.
        """
        self._groups.barrier()
        files = []
        for file in sorted(local.iterdir()):
            if _writer_rank(file.name) != self._groups.rank:
                continue
            if self._folder.is_local:
                checksum, size = file_checksum(file), file.stat().st_size
            else:
                (stored,) = self._folder.upload(file, f"{path}/{file.name}")
                checksum, size = stored.sha256 or "", stored.bytes
            files.append(ArtifactFile(path=file.name, bytes=size, sha256=checksum))
        files_of_ranks: list[Any] = [None] * self._groups.world_size
        torch.distributed.all_gather_object(files_of_ranks, files)
        self.discard(local)
        return sorted(
            (file for part in files_of_ranks for file in part), key=lambda file: file.path
        )

    def fetch(self, path: str) -> Path:
        """Return the local folder of the checkpoint at `path`, downloaded once for each pod."""
        local = self._local(path)
        if not self._folder.is_local:
            if self._groups.local_rank == 0:
                self._download(path, local)
            self._groups.barrier()
        return local

    def fetch_alone(self, path: str) -> Path:
        """Return the local folder of the checkpoint at `path`, downloaded by this rank only."""
        local = self._local(path)
        if not self._folder.is_local:
            self._download(path, local)
        return local

    def discard(self, local: Path) -> None:
        """Delete the pod's copy of a checkpoint."""
        if not self._folder.is_local:
            self._groups.barrier()
            if self._groups.local_rank == 0:
                shutil.rmtree(local, ignore_errors=True)

    def _local(self, path: str) -> Path:
        if self._folder.is_local:
            return local_path(self._folder.uri_of(path).removeprefix("file://"))
        return self._scratch / path

    def _download(self, path: str, local: Path) -> None:
        shutil.rmtree(local, ignore_errors=True)
        self._folder.download(path, local)


def _writer_rank(name: str) -> int:
    """Return the rank that wrote a file: `__<rank>_<number>.distcp`, or 0 for a common file."""
    if name.startswith("__") and name.endswith(".distcp"):
        return int(name.removeprefix("__").partition("_")[0])
    return 0
