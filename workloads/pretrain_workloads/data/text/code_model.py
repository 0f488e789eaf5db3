"""Tell source code from prose, by a linear model over n-grams of characters and starts of lines.

Manuals are full of listings, and source files full of comments, so no short list of keywords will
do. A score is the mean weight of the n-grams (1 to 5 characters, in a sample of the text), plus a
weight for each start of a line (is it indented, its first word, what follows the word) times the
logarithm of its frequency.

`code_model.npy` holds the weights; `benchmarks/train_code_model.py` made it.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.text.compiled import kernel
from pretrain_workloads.data.text.units import Offsets, Points

HASH_BITS = 15
"""The n-grams are hashed to 2^15 weights."""

WINDOW = 1024
"""Characters of a window."""

WINDOWS = 4
"""Windows of a text that are sampled; a text of no more characters is read whole."""

LINE_BITS = 13
"""The starts of lines are hashed to 2^13 more weights."""

LINE_CHARACTERS = 1 << 16
"""Characters at the start of a text whose lines are looked at."""

LONGEST = 5
"""Characters of the longest n-gram."""

NGRAM_SLOTS, LINE_SLOTS = 1 << HASH_BITS, 1 << LINE_BITS

_MOST_NGRAMS = WINDOW * WINDOWS * LONGEST

type Weights = npt.NDArray[np.int8]

FILE = Path(__file__).parent / "code_model.npy"
"""The trained weights."""

LINE_FACTOR = 0.1
"""Scale of the features of lines: their weights are then about as large as those of n-grams."""

SCALE = 2.0
"""Weights are stored as whole numbers of 1/2."""


def code_scores(
    points: Points, offsets: Offsets, weights: Weights | None = None
) -> npt.NDArray[np.float32]:
    """Return the log-odds that each text is code: positive means code, negative prose.

    Args:
        points: Code points of all texts.
        offsets: Offsets of the texts in `points`.
        weights: Weights of another model than the trained one.
    """
    out = np.zeros(len(offsets) - 1, np.float32)
    _score_all(points, offsets, _trained() if weights is None else weights, out)
    return out / np.float32(SCALE)


def features(points: Points, offsets: Offsets) -> npt.NDArray[np.float32]:
    """Return the features of each text, one row of `NGRAM_SLOTS + LINE_SLOTS` (for training)."""
    out = np.zeros((len(offsets) - 1, NGRAM_SLOTS + LINE_SLOTS), np.float32)
    _count_all(points, offsets, out)
    grams = out[:, :NGRAM_SLOTS]
    grams /= np.maximum(1, grams.sum(axis=1, keepdims=True))
    lines = out[:, NGRAM_SLOTS:]
    np.log1p(lines, out=lines)
    lines *= np.float32(LINE_FACTOR)
    return out


@lru_cache(maxsize=1)
def _trained() -> Weights:
    weights: Weights = np.load(FILE)
    return weights


@kernel
def _symbol(point: Any) -> Any:
    """Return one of 128 symbols for a character: ASCII as it is, digits as one, others by kind."""
    if 48 <= point <= 57:
        return np.uint64(48)
    if point < 127:
        return np.uint64(point)
    return np.uint64(1) if point < 0x2E80 else np.uint64(2)


@kernel
def _slot(recent: Any, length: Any) -> Any:
    """Return the hash of the last `length` symbols of `recent`, which holds 7 bits for each."""
    gram = recent & ((np.uint64(1) << np.uint64(7 * length)) - np.uint64(1))
    mixed = (gram + np.uint64(length) * np.uint64(0x9E3779B97F4A7C15)) * np.uint64(
        0xD6E8FEB86659FD93
    )
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    return np.int64(mixed >> np.uint64(64 - HASH_BITS))


@kernel
def _windows(length: Any) -> Any:
    """Return (number of windows, characters of a window, distance of their starts)."""
    if length <= WINDOW * WINDOWS:
        return 1, length, 0
    return WINDOWS, WINDOW, (length - WINDOW) // (WINDOWS - 1)


@kernel
def _line_slot(word: Any, indented: Any) -> Any:
    mixed = (word ^ np.uint64(indented)) * np.uint64(0x9E3779B97F4A7C15)
    return NGRAM_SLOTS + np.int64(mixed >> np.uint64(64 - LINE_BITS))


@kernel
def _is_word(point: Any) -> Any:
    return point == 95 or 65 <= point <= 90 or 97 <= point <= 122 or point >= 0x80


@kernel
def _ngrams(points: Any, begin: Any, end: Any, found: Any, count: Any) -> Any:
    """Append the slots of the n-grams of [begin, end) to `found`; return how many it then holds."""
    recent, seen, blank = np.uint64(0), 0, False
    for i in range(begin, end):
        symbol = _symbol(points[i])
        if symbol == np.uint64(32) and blank:
            continue  # a run of spaces counts as one
        blank = symbol == np.uint64(32)
        recent = (recent << np.uint64(7)) | symbol
        seen += 1
        for n in range(1, min(seen, LONGEST) + 1):
            found[count] = _slot(recent, n)
            count += 1
    return count


@kernel
def _lines(points: Any, found: Any) -> Any:
    """Fill `found` with the slots of the starts of lines, and return their number."""
    end, i, count = min(points.shape[0], LINE_CHARACTERS), 0, 0
    while i < end:
        indented = 0
        while i < end and (points[i] == 32 or points[i] == 9):
            i, indented = i + 1, 1
        if i < end and points[i] != 10:
            word, length = np.uint64(0xCBF29CE484222325), 0
            while i < end and length < 12 and _is_word(points[i]):
                word = (word ^ _symbol(points[i])) * np.uint64(0x100000001B3)
                i, length = i + 1, length + 1
            if i < end:
                word = (word ^ (_symbol(points[i]) << np.uint64(32))) * np.uint64(0x100000001B3)
            found[count] = _line_slot(word, indented)
            count += 1
        while i < end and points[i] != 10:
            i += 1
        i += 1
    return count


@kernel
def _sampled_ngrams(points: Any, found: Any) -> Any:
    """Fill `found` with the slots of the n-grams of the sample, and return their number."""
    windows, size, step = _windows(points.shape[0])
    count = 0
    for window in range(windows):
        count = _ngrams(points, window * step, window * step + size, found, count)
    return count


@kernel
def _score_all(points: Any, offsets: Any, weights: Any, out: Any) -> Any:
    found = np.empty(max(_MOST_NGRAMS, LINE_CHARACTERS), np.int32)
    counts = np.zeros(NGRAM_SLOTS + LINE_SLOTS, np.int32)
    for text in range(offsets.shape[0] - 1):
        part = points[offsets[text] : offsets[text + 1]]
        number = _sampled_ngrams(part, found)
        total = 0
        for i in range(number):
            total += weights[found[i]]
        out[text] = total / max(1, number)
        number = _lines(part, found)
        for i in range(number):
            counts[found[i]] += 1
        for i in range(number):
            seen = counts[found[i]]
            if seen:  # the first time that this loop meets the slot
                out[text] += LINE_FACTOR * np.log1p(seen) * weights[found[i]]
                counts[found[i]] = 0


@kernel
def _count_all(points: Any, offsets: Any, out: Any) -> Any:
    found = np.empty(max(_MOST_NGRAMS, LINE_CHARACTERS), np.int32)
    for text in range(offsets.shape[0] - 1):
        part = points[offsets[text] : offsets[text + 1]]
        for i in range(_sampled_ngrams(part, found)):
            out[text, found[i]] += 1
        for i in range(_lines(part, found)):
            out[text, found[i]] += 1
