"""This rank's part of one save: copied at once, and written by a thread while training goes on."""

import io
import threading
from typing import Any

import torch
from megatron.core.dist_checkpointing.strategies.filesystem_async import get_write_results_queue
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.storage import WriteResult

from pretrain_api.artifacts import ArtifactFile
from pretrain_workloads.storage import FileStream, Folder


class Staging:
    """Host memory for copies of tensors. It is kept, so that the next save need not allocate it."""

    def __init__(self) -> None:
        self._copies: list[torch.Tensor] = []

    def copy(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return copies of `tensors`, which the next call overwrites."""
        shapes = [(one.shape, one.dtype) for one in tensors]
        if shapes != [(one.shape, one.dtype) for one in self._copies]:
            self._copies = []  # before the next ones are allocated
            self._copies = [_host_memory(one) for one in tensors]
        for copy, tensor in zip(self._copies, tensors, strict=True):
            copy.copy_(tensor, non_blocking=True)
        if any(tensor.is_cuda for tensor in tensors):
            torch.cuda.synchronize()
        return self._copies


def _host_memory(tensor: torch.Tensor) -> torch.Tensor:
    # Pinned memory is copied at the speed of the bus.
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)


class Save:
    """The files that this rank writes of a checkpoint.

    Args:
        request: Megatron-core's plan of the save.
        folder: The run's folder.
        path: The checkpoint's folder in it.
        staging: Where the tensors are copied to.
    """

    def __init__(self, request: Any, folder: Folder, path: str, staging: Staging) -> None:
        self._folder, self._path = folder, path
        self._finalize = request.finalize_fns
        self._buckets = request.async_fn_args[1] if request.async_fn is not None else []
        self._staging = staging
        self._results: dict[int, list[WriteResult]] = {}
        self._stream: FileStream | None = None
        self._thread = threading.Thread(target=self._write, name="checkpoint", daemon=True)
        self.files: list[ArtifactFile] = []
        """Files that are written, with their checksums."""
        self.failure: Exception | None = None
        """What ended the thread. Unset means nothing so far."""

    @property
    def planned_bytes(self) -> int:
        """Return the size of the tensors that this rank writes."""
        return sum(one.numel() * one.element_size() for one in self._tensors)

    @property
    def written_bytes(self) -> int:
        """Return how much is written; it grows while the storage takes it."""
        stream = self._stream
        return sum(file.bytes for file in self.files) + (stream.bytes if stream else 0)

    @property
    def is_writing(self) -> bool:
        """Return whether the thread still writes."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Copy the tensors, and start the thread that writes the copies."""
        copies = iter(self._staging.copy(self._tensors))
        self._buckets = [
            (path, name, (objects, [(item, next(copies)) for item, _ in tensors]))
            for path, name, (objects, tensors) in self._buckets
        ]
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for the thread's end, at most so long."""
        self._thread.join(seconds)

    def finish(self) -> None:
        """Write the index of all ranks' files. All ranks call it, when all have written."""
        if self._buckets:
            get_write_results_queue().put(self._results)
        for finalize in self._finalize:
            finalize()

    @property
    def _tensors(self) -> list[torch.Tensor]:
        return [one for _, _, (_, tensors) in self._buckets for _, one in tensors]

    def _write(self) -> None:
        try:
            for number, (_, name, (objects, tensors)) in enumerate(self._buckets):
                with self._folder.stream(f"{self._path}/{name}") as stream:
                    self._stream = stream
                    self._results[number] = [
                        _write_item(stream, name, item, data) for item, data in (*objects, *tensors)
                    ]
                self._stream = None
                self.files.append(stream.file.model_copy(update={"path": name}))
        except Exception as error:
            self.failure = error


def _write_item(stream: FileStream, name: str, item: Any, data: Any) -> WriteResult:
    """Append a tensor, or the bytes of an object, to the file `name`, and return its place."""
    offset = stream.bytes
    if isinstance(data, io.BytesIO):
        stream.write(data.getbuffer())
    else:
        _save_tensor(stream, data)
    length = stream.bytes - offset
    return WriteResult(item.index, length, _StorageInfo(name, offset, length))


def _save_tensor(stream: FileStream, tensor: torch.Tensor) -> None:
    try:
        torch.save(tensor, stream)  # type: ignore[arg-type]  # it needs no more than write and flush
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch hides why the storage took no more
            raise error.__context__ from None
        raise
