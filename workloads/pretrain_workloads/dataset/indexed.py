"""Megatron's IndexedDataset: `.bin` holds tokens, `.idx` the lengths of its documents.

Source: the layout of `megatron.core.datasets.indexed_dataset`, version 1: magic, version (u64),
type code (u8), number of sequences and of document bounds (u64 each), lengths (i32), byte offsets
(i64), document bounds (i64). One document is one sequence here.
"""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = b"MMIDIDX\x00\x00"
_CODES = {"int32": 4, "uint16": 8}
_UINT16_BELOW = 65_500
"""Vocabularies smaller than this are stored in two bytes a token, as Megatron itself does."""


def token_type(vocabulary_size: int) -> np.dtype[Any]:
    """Return the type that tokens are stored in."""
    return np.dtype(np.uint16 if vocabulary_size < _UINT16_BELOW else np.int32)


def index_bytes(lengths: npt.NDArray[np.int64], dtype: np.dtype[Any]) -> bytes:
    """Return the `.idx` file of documents of `lengths` tokens of type `dtype`."""
    count = len(lengths)
    offsets = np.cumsum(lengths) - lengths
    head = struct.pack("<QBQQ", 1, _CODES[dtype.name], count, count + 1)
    return b"".join(
        (
            _MAGIC + head,
            lengths.astype("<i4").tobytes(),
            (offsets * dtype.itemsize).astype("<i8").tobytes(),
            np.arange(count + 1, dtype="<i8").tobytes(),
        )
    )
