"""Lets Megatron-core read a checkpoint from storage: each rank the ranges that it needs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from megatron.core.dist_checkpointing import serialization
from megatron.core.dist_checkpointing.strategies import torch as torch_strategy
from torch.distributed.checkpoint.filesystem import FileSystem, FileSystemReader

from pretrain_workloads.storage import Folder


@contextmanager
def reading_from(folder: Folder) -> Iterator[None]:
    """Read the files that are not in Megatron-core's local folder from `folder` instead."""
    original = torch_strategy._get_filesystem_reader
    _set_reader(lambda local, *_, **__: _Reader(local, folder))
    try:
        yield
    finally:
        _set_reader(original)


def _set_reader(reader: Callable[..., FileSystemReader]) -> None:
    for module in (torch_strategy, serialization):
        module._get_filesystem_reader = reader


class _Reader(FileSystemReader):
    def __init__(self, local: str | Path, folder: Folder) -> None:
        super().__init__(local)
        self.fs = _Files(folder)


class _Files(FileSystem):
    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    @contextmanager
    def create_stream(self, path: Any, mode: str) -> Iterator[Any]:
        """Open a local file, or the file of its name in storage."""
        local = Path(path)
        with local.open("rb") if local.exists() else self._folder.open(local.name) as stream:
            yield stream
