"""Reads parts of the tensors in safetensors files, by ranges of bytes, from a volume or from S3."""

import json
import math
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import torch

from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"

_MAX_HEADER_BYTES = 100_000_000
"""Longest description of tensors at the start of a file. Source: the safetensors format."""

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class _Stored:
    """Where a tensor lies."""

    file: str
    start: int
    shape: tuple[int, ...]
    dtype: torch.dtype


class WeightFiles:
    """The tensors of a Hugging Face folder.

    Args:
        folder: The folder.
        stack: Closes the files.

    Raises:
        UserError: If it holds no safetensors files, or one cannot be read.
    """

    def __init__(self, folder: Folder, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._files: dict[str, IO[bytes]] = {}
        self._tensors: dict[str, _Stored] = {}
        for name in self._names():
            self._describe(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor.

        Raises:
            UserError: If there is none of this name.
        """
        return self._stored(name).shape

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """Return the rows `start` to `stop` of a tensor.

        Raises:
            UserError: If there is none of this name, or the file ends before them.
            ValueError: If the tensor has fewer rows.
        """
        stored = self._stored(name)
        if stop > stored.shape[0]:
            raise ValueError(f"{name} has {stored.shape[0]} rows, not {stop}")
        row = math.prod(stored.shape[1:]) * stored.dtype.itemsize
        file = self._files[stored.file]
        file.seek(stored.start + start * row)
        content = bytearray((stop - start) * row)
        if _read_into(file, content) < len(content):
            raise UserError(
                f"{self._folder.uri_of(stored.file)}: ends within {name}; copy it again"
            )
        flat = torch.from_numpy(np.frombuffer(content, np.uint8)).view(stored.dtype)
        return flat.view(stop - start, *stored.shape[1:])

    def whole(self, name: str) -> torch.Tensor:
        """Return a whole tensor.

        Raises:
            UserError: If there is none of this name, or the file ends within it.
        """
        return self.rows(name, 0, self.shape(name)[0])

    def _stored(self, name: str) -> _Stored:
        if name not in self._tensors:
            raise UserError(f"{self._folder.uri}: has no tensor {name}; use the whole model")
        return self._tensors[name]

    def _names(self) -> list[str]:
        """Return the names of the files with weights."""
        if self._folder.exists(_INDEX):
            try:
                index: Any = self._folder.read_json(_INDEX)
                return sorted({str(name) for name in index["weight_map"].values()})
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UserError(
                    f"{self._folder.uri_of(_INDEX)}: is no list of weights "
                    f"({type(error).__name__}: {error}); save the model again"
                ) from error
        if self._folder.exists(_SINGLE):
            return [_SINGLE]
        raise UserError(
            f"{self._folder.uri}: holds neither {_SINGLE} nor {_INDEX}; save the model as "
            "safetensors (save_pretrained does)"
        )

    def _describe(self, name: str) -> None:
        """Read where the tensors of a file lie."""
        file = self._stack.enter_context(self._folder.open(name))
        self._files[name] = file
        try:
            size = int.from_bytes(file.read(8), "little")
            if size > _MAX_HEADER_BYTES:
                raise ValueError(f"a header of {size} bytes")
            header = json.loads(file.read(size))
            header.pop("__metadata__", None)
            for tensor, entry in header.items():
                start, stop = entry["data_offsets"]
                shape, dtype = tuple(map(int, entry["shape"])), _DTYPES[entry["dtype"]]
                if start < 0 or stop - start != math.prod(shape) * dtype.itemsize:
                    raise ValueError(f"{stop - start} bytes for the shape {shape} of {tensor}")
                self._tensors[tensor] = _Stored(name, 8 + size + start, shape, dtype)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{self._folder.uri_of(name)}: is no safetensors file of {', '.join(_DTYPES)} "
                f"weights ({type(error).__name__}: {error}); save the model again"
            ) from error


def _read_into(file: IO[bytes], content: bytearray) -> int:
    """Fill `content` from `file`; return the number of bytes, fewer at the end of the file."""
    view, filled = memoryview(content), 0
    while filled < len(content):
        part = file.read(min(len(content) - filled, 64 * 2**20))
        if not part:
            break
        view[filled : filled + len(part)] = part
        filled += len(part)
    return filled
