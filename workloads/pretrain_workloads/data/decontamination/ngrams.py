"""N-grams of units as 64-bit hashes, and a table that finds them: the compiled part.

Units are words, and single Han or kana characters; letter case and punctuation do not count.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.text.compiled import kernel
from pretrain_workloads.data.text.units import LIMIT, Offsets, Points, tables

type Ngrams = npt.NDArray[np.uint64]


def ngram_hashes(points: Points, offsets: Offsets, size: int) -> tuple[Ngrams, Offsets]:
    """Return the hashes of the n-grams of all texts, and the offset of each text's first one."""
    out = np.empty(len(points), np.uint64)
    starts = np.zeros(len(offsets), np.int64)
    _hash(points, offsets, *tables(), size, out, starts)
    return out[: starts[-1]], starts


def make_table(hashes: Ngrams, records: npt.NDArray[np.uint32]) -> Any:
    """Return a hash table from n-grams to the first record that has each."""
    size = 2
    while size < 2 * len(hashes):
        size *= 2
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.uint32)
    _insert(hashes, records, keys, values)
    return keys, values


def first_hits(hashes: Ngrams, starts: Offsets, table: Any) -> npt.NDArray[np.int64]:
    """Return for each text the record of its first n-gram that is in the table, or -1."""
    out = np.full(len(starts) - 1, -1, np.int64)
    keys, values = table
    _look_up(hashes, starts, keys, values, out)
    return out


@kernel
def _hash(
    points: Any, offsets: Any, classes: Any, lower: Any, size: Any, out: Any, starts: Any
) -> Any:
    prime, basis = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
    factor = np.uint64(0x9E3779B97F4A7C15)
    count = 0
    recent = np.zeros(size, np.uint64)
    for text in range(offsets.shape[0] - 1):
        units, word, inside = 0, basis, False
        for i in range(offsets[text], offsets[text + 1] + 1):
            kind, point = 0, np.uint32(0)
            if i < offsets[text + 1]:
                point = points[i]
                kind = classes[point] if point < LIMIT else 0
            if kind == 1:
                low = lower[point] if lower[point] != 48 else point
                word, inside = (word ^ np.uint64(low)) * prime, True
                continue
            for unit in range(2):  # the word that ends here, then a character of its own
                if (unit == 0 and not inside) or (unit == 1 and kind != 2):
                    continue
                recent[units % size] = word if unit == 0 else (basis ^ np.uint64(point)) * prime
                units += 1
                if unit == 0:
                    word, inside = basis, False
                if units >= size:
                    value = np.uint64(0)
                    for j in range(size):
                        value = (value ^ recent[(units + j) % size]) * factor
                        value ^= value >> np.uint64(29)
                    out[count] = value | np.uint64(1)  # 0 marks a free slot
                    count += 1
        starts[text + 1] = count


@kernel
def _slot(keys: Any, key: Any) -> Any:
    mask = np.uint64(keys.shape[0] - 1)
    slot = (key >> np.uint64(17)) & mask
    while keys[slot] != np.uint64(0) and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@kernel
def _insert(hashes: Any, records: Any, keys: Any, values: Any) -> Any:
    for i in range(hashes.shape[0]):
        slot = _slot(keys, hashes[i])
        if keys[slot] == np.uint64(0):
            keys[slot], values[slot] = hashes[i], records[i]


@kernel
def _look_up(hashes: Any, starts: Any, keys: Any, values: Any, out: Any) -> Any:
    for text in range(starts.shape[0] - 1):
        for i in range(starts[text], starts[text + 1]):
            slot = _slot(keys, hashes[i])
            if keys[slot] == hashes[i]:
                out[text] = values[slot]
                break
