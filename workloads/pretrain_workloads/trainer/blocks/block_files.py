"""The open blocks of a dataset: on a volume where they are, from S3 as copies in the pod's scratch.

A copy is shared by all ranks of the pod, and deleted when enough later blocks are open.
"""

import fcntl
import logging
import threading
from pathlib import Path

from pretrain_workloads.indexed_blocks import MASK
from pretrain_workloads.storage import Folder
from pretrain_workloads.trainer.blocks.block_list import BlockEntry, BlockList
from pretrain_workloads.trainer.blocks.checksums import BlockChecksums
from pretrain_workloads.trainer.blocks.token_block import TokenBlock

log = logging.getLogger(__name__)

_OPEN = 2
"""Blocks of a kind that are open: a global batch may begin in one and end in the next."""


class BlockFiles:
    """Opens blocks.

    Args:
        folder: The dataset's folder.
        block_list: Its blocks.
        copies: Local folder for copies.
    """

    def __init__(self, folder: Folder, block_list: BlockList, copies: Path) -> None:
        self._folder, self._list, self._copies = folder, block_list, copies
        self._open: dict[str, TokenBlock] = {}
        self._prefetched: set[str] = set()
        self.checksums: BlockChecksums | None = None
        """Checks what is opened; unset on ranks that leave it to another one."""

    def open(self, entry: BlockEntry) -> TokenBlock:
        """Return a block, which stays open until enough others of its kind are needed.

        Raises:
            BadData: If its files are not what `entry` says.
        """
        if entry.path not in self._open:
            kind = Path(entry.path).parent  # training and validation blocks are open side by side
            others = [path for path in self._open if Path(path).parent == kind]
            for path in others[: len(others) - _OPEN + 1]:
                del self._open[path]
                self._delete_copy(path)
            prefix = self._local_prefix(entry)
            self._open[entry.path] = TokenBlock(prefix, entry, self._list.seq_length)
            if self.checksums is not None:
                self.checksums.start(entry.path, prefix)
        return self._open[entry.path]

    def prefetch(self, entry: BlockEntry) -> None:
        """Start to copy a block that will be opened later, unless that has begun."""
        if self._folder.is_local or entry.path in self._prefetched:
            return
        self._prefetched = {entry.path}
        threading.Thread(target=self._fetch, args=(entry,), name="blocks", daemon=True).start()

    def _fetch(self, entry: BlockEntry) -> None:
        try:
            self._local_prefix(entry)
        except Exception as error:  # whoever opens the block tries again, and says what is wrong
            log.warning("%s: cannot be copied yet: %s", self._folder.uri_of(entry.path), error)

    def _local_prefix(self, entry: BlockEntry) -> Path:
        """Return the local path of a block's files, without suffix."""
        if self._folder.is_local:
            with self._folder.fetched(f"{entry.path}.idx") as path:
                return path.with_suffix("")
        prefix = self._copies / entry.path
        prefix.parent.mkdir(parents=True, exist_ok=True)
        suffixes = (".idx", ".bin", *([MASK] if entry.has_mask else []))
        with prefix.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for suffix in suffixes:
                copy = prefix.with_suffix(suffix)
                if not copy.exists():
                    partial = prefix.with_suffix(f"{suffix}.partial")
                    self._folder.download(f"{entry.path}{suffix}", partial)
                    partial.replace(copy)
        return prefix

    def _delete_copy(self, path: str) -> None:
        if not self._folder.is_local:
            for suffix in (".idx", ".bin", MASK):
                (self._copies / path).with_suffix(suffix).unlink(missing_ok=True)
