"""Compares the blocks that a run reads with the checksums of their artifact, beside training."""

import threading
from pathlib import Path
from typing import IO

from pretrain_workloads.failures import BadData
from pretrain_workloads.indexed_blocks import MASK
from pretrain_workloads.storage import Folder, read_manifest
from pretrain_workloads.storage.folder import stream_checksum


class BlockChecksums:
    """Checks the files of opened blocks, each in a thread of its own.

    Args:
        folder: The dataset's folder. Without a manifest there is nothing to compare with.
    """

    def __init__(self, folder: Folder) -> None:
        manifest = read_manifest(folder)
        files = manifest.files if manifest is not None else []
        self._wanted = {file.path: file.sha256 for file in files if file.sha256 is not None}
        self._folder = folder
        self._threads: list[threading.Thread] = []
        self._problems: list[str] = []

    def start(self, path: str, local: Path) -> None:
        """Start to check the files of the block at `path`, which are at `local` without suffix."""
        self._threads = [one for one in self._threads if one.is_alive()]
        for suffix in (".bin", ".idx", MASK):
            want = self._wanted.get(f"{path}{suffix}")
            if want is None:
                continue
            # Opened here: a copy may be deleted before its thread has read it.
            file = local.with_name(f"{local.name}{suffix}").open("rb")
            arguments = (f"{path}{suffix}", file, want)
            thread = threading.Thread(target=self._check, args=arguments, daemon=True)
            thread.start()
            self._threads.append(thread)

    def raise_problems(self) -> None:
        """Raise what was found so far.

        Raises:
            BadData: If a file has another checksum.
        """
        if self._problems:
            raise BadData("; ".join(self._problems))

    def finish(self) -> None:
        """Wait until all files are checked, and raise what was found.

        Raises:
            BadData: If a file has another checksum.
        """
        for thread in self._threads:
            thread.join()
        self._threads = []
        self.raise_problems()

    def _check(self, path: str, file: IO[bytes], want: str) -> None:
        with file:
            found = stream_checksum(file)
        if found != want:
            self._problems.append(
                f"{self._folder.uri_of(path)}: its checksum is wrong, so that it was changed or "
                "damaged; delete the artifact and let the TokenDataset make it again"
            )
