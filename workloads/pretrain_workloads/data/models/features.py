"""Hashed features of a text: its words, their pairs, and some statistics.

A unit is a run of letters and digits in lower case, one Han or kana character, or one symbol; the
start of a line counts as a unit too. Units, pairs and triples of units are hashed to slots; so are
four statistics, by their size. Of a long text some windows are read.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.text.compiled import kernel
from pretrain_workloads.data.text.units import OWN, WORD, Offsets, Points, tables

BITS = 17
"""Features are hashed to 2^17 slots."""

SLOTS = 1 << BITS

WINDOW, WINDOWS = 1024, 4
"""Characters of a window, and windows of a text; one of no more characters is read whole."""

_LARGEST_COUNT = 63

_LOGARITHMS = np.log1p(np.arange(_LARGEST_COUNT + 1)).astype(np.float32)

MOST = 3 * WINDOW * WINDOWS + 8
"""Features of a text."""

type Values = npt.NDArray[np.float32]


def linear_scores(points: Points, offsets: Offsets, weights: Values) -> Values:
    """Return the products of the features of each text with each row of `weights`.

    Args:
        points: Code points of all texts.
        offsets: Offset of each text in `points`, and the end.
        weights: One row of `SLOTS` weights for each class.

    Returns:
        One row for each text, one column for each class.
    """
    out = np.zeros((len(offsets) - 1, len(weights)), np.float32)
    _score_all(points, offsets, *tables(), np.ascontiguousarray(weights.T), out)
    return out


@kernel
def _mix(value: Any) -> Any:
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return value ^ (value >> np.uint64(29))


@kernel
def _add(slot: Any, counts: Any, found: Any, count: Any) -> Any:
    """Count a slot; return how many different ones there are."""
    if counts[slot] == 0:
        found[count] = slot
        count += 1
    counts[slot] += 1
    return count


@kernel
def _grams(points: Any, begin: Any, end: Any, classes: Any, lower: Any, state: Any) -> Any:
    """Count units, pairs and triples of one window.

    Args:
        state: (counts, found, statistics, number of slots found).
    """
    counts, found, statistics, count = state
    shift = np.uint64(64 - BITS)
    before, last, line, i = np.uint64(0), np.uint64(0), True, begin
    while i < end:
        point = points[i]
        kind = classes[point] if point < classes.shape[0] else 0
        if point == 10:
            line = True
            statistics[3] += 1
        if kind == 0 and (point == 32 or 9 <= point <= 13 or point == 0x3000):
            i += 1
            continue
        unit = np.uint64(point) if kind != WORD else np.uint64(0xCBF29CE484222325)
        start = i
        while kind == WORD and i < end:
            point = points[i]
            if point >= classes.shape[0] or classes[point] != WORD:
                break
            unit = (unit ^ np.uint64(lower[point])) * np.uint64(0x100000001B3)
            i += 1
        i += kind != WORD
        statistics[0] += 1
        statistics[1] += i - start
        statistics[2] += kind == 0
        if line:
            count = _add(np.int64(_mix(unit + np.uint64(7)) >> shift), counts, found, count)
            line = False
        here = _mix(unit)
        pair = _mix(here ^ (last * np.uint64(0x9E3779B97F4A7C15)))
        count = _add(np.int64(here >> shift), counts, found, count)
        if last:
            count = _add(np.int64(pair >> shift), counts, found, count)
        if before and kind == OWN:
            triple = _mix(pair ^ (before * np.uint64(0xC2B2AE3D27D4EB4F)))
            count = _add(np.int64(triple >> shift), counts, found, count)
        before, last = last, here
    return count


@kernel
def fill_features(
    points: Any, classes: Any, lower: Any, counts: Any, found: Any, values: Any
) -> Any:
    """Fill `found` and `values` with the features of a text; return their number.

    `counts` holds zeros, and does so afterwards.
    """
    length = points.shape[0]
    windows, size, step = 1, length, 0
    if length > WINDOW * WINDOWS:
        windows, size, step = WINDOWS, WINDOW, (length - WINDOW) // (WINDOWS - 1)
    statistics = np.zeros(4, np.int64)
    count = 0
    for window in range(windows):
        begin = window * step
        state = (counts, found, statistics, count)
        count = _grams(points, begin, begin + size, classes, lower, state)
    total, units = 0.0, max(1, statistics[0])
    for i in range(count):
        values[i] = _LOGARITHMS[min(_LARGEST_COUNT, counts[found[i]])]
        total += values[i] * values[i]
        counts[found[i]] = 0
    scale = np.float32(0.8 / np.sqrt(total)) if total > 0 else np.float32(0)
    for i in range(count):
        values[i] *= scale
    ratios = (
        min(15.0, 1.5 * statistics[1] / units),
        15.0 * statistics[2] / units,
        15.0 * min(1.0, 4.0 * statistics[3] / units),
        15.0 * min(1.0, count / (2.5 * units)),
    )
    for kind, ratio in enumerate(ratios):
        place = np.uint64(1000 + 16 * kind + np.int64(ratio))
        found[count] = np.int64(_mix(place * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - BITS))
        values[count] = 0.3
        count += 1
    return count


@kernel
def _score_all(points: Any, offsets: Any, classes: Any, lower: Any, weights: Any, out: Any) -> Any:
    counts = np.zeros(SLOTS, np.int32)
    found, values = np.empty(MOST, np.int32), np.empty(MOST, np.float32)
    for text in range(offsets.shape[0] - 1):
        part = points[offsets[text] : offsets[text + 1]]
        for i in range(fill_features(part, classes, lower, counts, found, values)):
            for label in range(out.shape[1]):
                out[text, label] += values[i] * weights[found[i], label]
