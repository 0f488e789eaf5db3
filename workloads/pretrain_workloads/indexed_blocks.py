"""Files of a token block, in the format of Megatron's IndexedDataset.

`<block>.bin` holds the token ids of all documents, `<block>.idx` the lengths of the documents:
magic, version (u64), type code (u8), number of sequences and of document bounds (u64 each), lengths
(i32), byte offsets (i64), document bounds (i64). One document is one sequence of the format here.
Source: `megatron.core.datasets.indexed_dataset`, version 1.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK_LIST = "blocks.json"
"""File of a dataset's artifact that describes its blocks; the trainer starts from it."""

MASK = ".mask"
"""Suffix of the file that says which tokens of a block count in the loss. It is absent where all
do."""

_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_HEADER = struct.Struct("<9sQB")
_COUNTS = struct.Struct("<QQ")
_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.uint8),
    2: np.dtype(np.int8),
    3: np.dtype(np.int16),
    4: np.dtype(np.int32),
    5: np.dtype(np.int64),
    8: np.dtype(np.uint16),
}
_CODES = {dtype: code for code, dtype in _TYPES.items()}
_UINT16_BELOW = 65_500
"""Vocabularies smaller than this are stored in two bytes a token, as Megatron itself does."""


def mask_bytes(counted: npt.NDArray[np.bool_]) -> bytes:
    """Return the `.mask` file of a block: one bit for each token, set where it counts."""
    return np.packbits(counted, bitorder="little").tobytes()


def read_mask(content: npt.NDArray[np.uint8], start: int, end: int) -> npt.NDArray[np.bool_]:
    """Return whether the tokens [start, end) count, from the bytes of a `.mask` file."""
    first = start // 8
    bits = np.unpackbits(content[first : -(-end // 8)], bitorder="little")
    return bits[start - 8 * first : end - 8 * first].astype(np.bool_)


def token_type(vocabulary_size: int) -> np.dtype[Any]:
    """Return the type that tokens are stored in."""
    return np.dtype(np.uint16 if vocabulary_size < _UINT16_BELOW else np.int32)


def index_bytes(lengths: npt.NDArray[np.int64], dtype: np.dtype[Any]) -> bytes:
    """Return the `.idx` file of documents of `lengths` tokens of type `dtype`."""
    count = len(lengths)
    offsets = np.cumsum(lengths) - lengths
    return b"".join(
        (
            _HEADER.pack(_MAGIC, _VERSION, _CODES[dtype]),
            _COUNTS.pack(count, count + 1),
            lengths.astype("<i4").tobytes(),
            (offsets * dtype.itemsize).astype("<i8").tobytes(),
            np.arange(count + 1, dtype="<i8").tobytes(),
        )
    )


@dataclass(frozen=True)
class BlockIndex:
    """What the `.idx` file of a block says of its `.bin` file."""

    dtype: np.dtype[Any]
    """Type of its tokens."""
    tokens: int
    """Number of its tokens, over all documents."""


def read_index(index: Path) -> BlockIndex:
    """Return what the `.idx` file `index` says.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not an `.idx` file, has an unknown type code, or is cut off.
    """
    content = index.read_bytes()
    start = _HEADER.size + _COUNTS.size
    if len(content) < start or not content.startswith(_MAGIC):
        raise ValueError("not an index file")
    code = _HEADER.unpack_from(content)[2]
    if code not in _TYPES:
        raise ValueError(f"unknown type code {code}")
    documents, _ = _COUNTS.unpack_from(content, _HEADER.size)
    if len(content) < start + 4 * documents:
        raise ValueError(f"cut off after {len(content)} bytes")
    lengths = np.frombuffer(content, "<i4", documents, start)
    return BlockIndex(_TYPES[code], int(lengths.sum(dtype=np.int64)))
