"""Exact duplicates: for each document, the first one with the same text."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.text.compiled import kernel

type FirstCopies = npt.NDArray[np.uint32]
"""One document number for each document."""


def first_copies(low: npt.NDArray[np.uint64], high: npt.NDArray[np.uint64]) -> FirstCopies:
    """Return for each document the first document with the same 128-bit hash.

    Args:
        low: Lower half of the hash of each text.
        high: Upper half.
    """
    size = 2
    while size < 2 * len(low):
        size *= 2
    first = np.arange(len(low), dtype=np.uint32)
    _find_first(low, high, np.full(size, len(low), np.uint32), first)
    return first


@kernel
def _find_first(low: Any, high: Any, table: Any, first: Any) -> Any:
    """Fill in the first copies, through an open-addressing table of document numbers."""
    free, mask = np.uint32(low.shape[0]), np.uint64(table.shape[0] - 1)
    for i in range(low.shape[0]):
        slot = ((low[i] ^ high[i]) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)) & mask
        while table[slot] != free:
            other = table[slot]
            if low[other] == low[i] and high[other] == high[i]:
                first[i] = other
                break
            slot = (slot + np.uint64(1)) & mask
        if table[slot] == free:
            table[slot] = i
