"""One token block, mapped into memory.

Its flat ids hold S · L + 1 for S sequences of length L: a sequence's last label is the first id of
the next one.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pretrain_workloads.failures import BadData
from pretrain_workloads.indexed_blocks import MASK, BlockIndex, read_index, read_mask
from pretrain_workloads.trainer.blocks.block_list import BlockEntry


class TokenBlock:
    """The sequences of one block."""

    def __init__(self, prefix: Path, entry: BlockEntry, seq_length: int) -> None:
        """Open the files `<prefix>.bin` and `<prefix>.idx`.

        Raises:
            BadData: If they are not what `entry` says.
        """
        self._seq_length = seq_length
        index = _read_index(prefix.with_name(f"{prefix.name}.idx"), entry)
        dtype = index.dtype
        tokens = prefix.with_name(f"{prefix.name}.bin")
        want = entry.sequences * seq_length + 1
        have = tokens.stat().st_size / dtype.itemsize if tokens.exists() else 0
        if not have == want == index.tokens:
            raise BadData(
                f"{entry.path}.bin: holds {have:g} tokens, and its index {index.tokens}, but "
                f"{entry.sequences} sequences of {seq_length} need {want}; delete the artifact and "
                "let the TokenDataset make it again"
            )
        self._tokens = np.memmap(tokens, dtype=dtype, mode="r")
        self._mask = _open_mask(prefix, entry, want) if entry.has_mask else None

    def sequence(self, index: int) -> NDArray[np.int64]:
        """Return the ids of a sequence and the id that follows it."""
        start = index * self._seq_length
        return self._tokens[start : start + self._seq_length + 1].astype(np.int64)

    def counted(self, index: int) -> NDArray[np.bool_] | None:
        """Return whether each label of a sequence counts in the loss; `None` if all do."""
        if self._mask is None:
            return None
        first = index * self._seq_length + 1
        return read_mask(self._mask, first, first + self._seq_length)


def _open_mask(prefix: Path, entry: BlockEntry, tokens: int) -> NDArray[np.uint8]:
    path = prefix.with_name(f"{prefix.name}{MASK}")
    have = path.stat().st_size if path.exists() else 0
    want = -(-tokens // 8)
    if have != want:
        raise BadData(
            f"{entry.path}{MASK}: has {have} bytes, but {tokens} tokens need {want}; delete the "
            "artifact and let the TokenDataset make it again"
        )
    return np.memmap(path, dtype=np.uint8, mode="r")


def _read_index(index: Path, entry: BlockEntry) -> BlockIndex:
    try:
        return read_index(index)
    except (OSError, ValueError) as error:
        raise BadData(
            f"{entry.path}.idx: is no index of a token block ({type(error).__name__}: {error}); "
            "delete the artifact and let the TokenDataset make it again"
        ) from error
