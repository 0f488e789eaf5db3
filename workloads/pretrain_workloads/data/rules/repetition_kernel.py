"""Measure repeated lines and n-grams of texts: the compiled part of `repetition.py`.

Only letters and digits count as characters, so that the layout of code and tables does not count
as repetition.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.text.compiled import kernel
from pretrain_workloads.data.text.units import LIMIT, Offsets, Points, tables

_LONGEST_TOP = 4
"""Up to this n, the most frequent n-gram is measured; above it, all repeated n-grams."""

_LONGEST = 10
"""Largest n of n-grams that are measured."""

COLUMNS = _LONGEST + 1
"""Measures of a document. Column 0 holds the share of lines that repeat an earlier line, column 1
the share of characters in them, and column n the share of characters in n-grams (n = 2 … 10)."""

_MIN_LINES = 4
"""Lines below which repeated lines are not measured: two lines and a refrain are no repetition."""

_MIN_UNITS = 40
"""Units below which n-grams are not measured: a poem of eight lines may repeat words."""

_MIN_TOP_UNITS = 200
"""Units below which the most frequent n-gram is not measured: three uses are many in a sentence."""


def measure(points: Points, offsets: Offsets) -> npt.NDArray[np.float64]:
    """Return the `COLUMNS` measures of each text, as shares from 0 to 1."""
    out = np.zeros((len(offsets) - 1, COLUMNS))
    _measure_all(points, offsets, tables()[0], out)
    return out


@kernel
def _slot(table: Any, key: Any) -> Any:
    """Return the slot of `key` in an open-addressing hash table, or the free slot for it."""
    mask = np.uint64(table.shape[0] - 1)
    slot = (key ^ (key >> np.uint64(32))) & mask
    while table[slot] != np.uint64(0) and table[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@kernel
def _table_size(entries: Any) -> Any:
    size = 2
    while size < 2 * entries:
        size *= 2
    return size


@kernel
def _lines(points: Any, classes: Any, out: Any) -> Any:
    """Measure repeated lines; lines that differ only in white space are equal."""
    total = 1
    for i in range(points.shape[0]):
        total += points[i] == 10
    table = np.zeros(_table_size(total), np.uint64)
    lines, repeated, characters, repeated_characters = 0, 0, 0, 0
    line, length = np.uint64(0xCBF29CE484222325), 0
    for i in range(points.shape[0] + 1):
        if i < points.shape[0] and points[i] != 10:
            if points[i] > 32:
                line = (line ^ np.uint64(points[i])) * np.uint64(0x100000001B3)
                length += points[i] < LIMIT and classes[points[i]] > 0
            continue
        if length:
            line |= np.uint64(1)  # 0 marks a free slot
            slot = _slot(table, line)
            lines, characters = lines + 1, characters + length
            if table[slot] == line:
                repeated, repeated_characters = repeated + 1, repeated_characters + length
            table[slot] = line
        line, length = np.uint64(0xCBF29CE484222325), 0
    if lines >= _MIN_LINES:
        out[0] = repeated / lines
        out[1] = repeated_characters / characters


@kernel
def _split(points: Any, classes: Any, units: Any, lengths: Any) -> Any:
    """Fill in the hash and the length of each unit, and return the number of units."""
    prime, basis = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
    count, word, length = 0, basis, 0
    for i in range(points.shape[0] + 1):
        kind = 0
        if i < points.shape[0] and points[i] < LIMIT:
            kind = classes[points[i]]
        if kind == 1:
            word, length = (word ^ np.uint64(points[i])) * prime, length + 1
            continue
        if length:
            units[count], lengths[count] = word, length
            count, word, length = count + 1, basis, 0
        if kind == 2:
            units[count], lengths[count] = (basis ^ np.uint64(points[i])) * prime, 1
            count += 1
    return count


@kernel
def _hash_ngrams(units: Any, lengths: Any, count: Any, n: Any, hashes: Any, characters: Any) -> Any:
    for i in range(count - n + 1):
        x, total = np.uint64(1469598103934665603), 0
        for j in range(n):
            x = (x ^ units[i + j]) * np.uint64(0x9E3779B97F4A7C15)
            x ^= x >> np.uint64(31)
            total += lengths[i + j]
        hashes[i] = x | np.uint64(1)
        characters[i] = total
    return count - n + 1


@kernel
def _top(hashes: Any, characters: Any, entries: Any) -> Any:
    """Return the characters that the most frequent n-gram covers, if it occurs at least 3 times."""
    table = np.zeros(_table_size(entries), np.uint64)
    counts = np.zeros(table.shape[0], np.int64)
    most, covered = 2, 0
    for i in range(entries):
        slot = _slot(table, hashes[i])
        table[slot] = hashes[i]
        counts[slot] += 1
        if counts[slot] > most or (counts[slot] == most > 2 and most * characters[i] > covered):
            most, covered = counts[slot], counts[slot] * characters[i]
    return covered


@kernel
def _repeats(hashes: Any, characters: Any, entries: Any, n: Any) -> Any:
    """Return the characters in repeats of earlier n-grams; overlapping repeats count once."""
    table = np.zeros(_table_size(entries), np.uint64)
    i, covered = 0, 0
    while i < entries:
        slot = _slot(table, hashes[i])
        if table[slot] == hashes[i]:
            covered += characters[i]
            i += n
        else:
            table[slot] = hashes[i]
            i += 1
    return covered


@kernel
def _measure_all(points: Any, offsets: Any, classes: Any, out: Any) -> Any:
    for document in range(offsets.shape[0] - 1):
        text = points[offsets[document] : offsets[document + 1]]
        _lines(text, classes, out[document])
        units = np.empty(text.shape[0] + 1, np.uint64)
        lengths = np.empty(text.shape[0] + 1, np.int64)
        count = _split(text, classes, units, lengths)
        if count < _MIN_UNITS:
            continue
        total = lengths[:count].sum()
        hashes, characters = np.empty(count, np.uint64), np.empty(count, np.int64)
        for n in range(2, _LONGEST + 1):
            entries = _hash_ngrams(units, lengths, count, n, hashes, characters)
            if n <= _LONGEST_TOP and count < _MIN_TOP_UNITS:
                continue
            if n <= _LONGEST_TOP:
                out[document, n] = _top(hashes, characters, entries) / total
            else:
                out[document, n] = _repeats(hashes, characters, entries, n) / total
