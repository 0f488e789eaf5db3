"""Token blocks: the list of them in `blocks.json`, and one block's sequences on disk.

A block is a pair of files in Megatron-core's indexed format, `<path>.bin` with the ids of all its
documents on end, and `<path>.idx` with their lengths. The flat ids hold S · L + 1 for S sequences
of length L: a sequence's last label is the first id of the next one.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain_workloads.failures import BadData

INDEX_FILE = "blocks.json"
_MAGIC = b"MMIDIDX\x00\x00"
_HEADER = struct.Struct("<9sQB")
_TYPES: dict[int, type[np.generic]] = {
    1: np.uint8,
    2: np.int8,
    3: np.int16,
    4: np.int32,
    5: np.int64,
    8: np.uint16,
}
"""Codes of the element types in an `.idx` file. Source: Megatron-core's `indexed_dataset.py`."""


@dataclass(frozen=True)
class Entry:
    """One block in the list."""

    path: str
    """Path of its files below the dataset's folder, without suffix."""
    sequences: int
    """Sequences that it holds."""


@dataclass(frozen=True)
class BlockIndex:
    """What a dataset holds."""

    seq_length: int
    vocabulary_size: int
    blocks: list[Entry]
    validation: list[Entry]


def parse_index(text: str | bytes, uri: str) -> BlockIndex:
    """Return the list of blocks in `text`, the content of `uri`.

    Raises:
        BadData: If it is no such list, or if there is nothing to train on.
    """
    try:
        value = json.loads(text)
        index = BlockIndex(
            seq_length=int(value["sequenceLength"]),
            vocabulary_size=int(value["vocabularySize"]),
            blocks=_entries(value["blocks"]),
            validation=_entries(value.get("validation", [])),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(
            f"{uri}: is no list of token blocks ({type(error).__name__}: {error}); "
            "delete the artifact and let the TokenDataset make it again"
        ) from error
    if not sum(entry.sequences for entry in index.blocks):
        raise BadData(f"{uri}: holds no sequence of {index.seq_length} tokens to train on")
    return index


def _entries(values: list[dict[str, Any]]) -> list[Entry]:
    return [Entry(str(value["path"]), int(value["sequences"])) for value in values]


class Block:
    """The sequences of one block, mapped into memory."""

    def __init__(self, prefix: Path, entry: Entry, seq_length: int) -> None:
        """Open the files `<prefix>.bin` and `<prefix>.idx`.

        Raises:
            BadData: If they are not what `entry` says.
        """
        self._entry, self._seq_length = entry, seq_length
        index, tokens = (
            prefix.with_name(f"{prefix.name}.idx"),
            prefix.with_name(f"{prefix.name}.bin"),
        )
        dtype = np.dtype(_element_type(index, entry))
        want = entry.sequences * seq_length + 1
        have = tokens.stat().st_size // dtype.itemsize if tokens.exists() else 0
        if have < want:
            raise BadData(
                f"{entry.path}.bin: holds {have} tokens, but {entry.sequences} sequences of "
                f"{seq_length} need {want}; delete the artifact and let the TokenDataset make it "
                "again"
            )
        self._tokens = np.memmap(tokens, dtype=dtype, mode="r")

    def sequence(self, index: int) -> NDArray[np.int64]:
        """Return the ids of a sequence and the one that follows it."""
        start = index * self._seq_length
        return self._tokens[start : start + self._seq_length + 1].astype(np.int64)


def _element_type(path: Path, entry: Entry) -> type[np.generic]:
    try:
        with path.open("rb") as file:
            magic, _, code = _HEADER.unpack(file.read(_HEADER.size))
        if magic != _MAGIC:
            raise ValueError("not an index file")
        return _TYPES[code]
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise BadData(
            f"{entry.path}.idx: is no index of a token block ({type(error).__name__}: {error}); "
            "delete the artifact and let the TokenDataset make it again"
        ) from error
