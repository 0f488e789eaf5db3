"""MinHash signatures: 112 minima for each document estimate the Jaccard similarity of 5-gram sets.

Source: Broder, "On the resemblance and containment of documents", 1997.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.text.compiled import kernel
from pretrain_workloads.data.text.units import LIMIT, Offsets, Points, tables

PERMUTATIONS = 112
"""Minima in a signature: the standard error of an estimated similarity of 0.8 is 0.04."""

NGRAM = 5
"""Units in a shingle. A shorter document is one shingle."""

EMPTY = np.uint16(0xFFFF)
"""Every minimum of a document without units."""

type Signatures = npt.NDArray[np.uint16]
"""One row of `PERMUTATIONS` minima for each document. Of a minimum 16 bits from its middle are
kept: the upper ones are 0 in every long document, and the lower ones are badly mixed. Different
minima agree in them once in 65,536.

Source: Li and König, "b-bit minwise hashing", 2010.
"""


def multipliers(seed: int = 1) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return the odd factors and the summands of the hash functions."""
    random = np.random.RandomState(seed)  # its stream is frozen, unlike that of default_rng
    factors = random.randint(0, 2**62, PERMUTATIONS, dtype=np.int64).astype(np.uint64)
    summands = random.randint(0, 2**62, PERMUTATIONS, dtype=np.int64).astype(np.uint64)
    return factors * np.uint64(2) + np.uint64(1), summands


def signatures(points: Points, offsets: Offsets, collapse_digits: bool = False) -> Signatures:
    """Return the signature of each text.

    Args:
        points: Code points of all texts, one after the other.
        offsets: Offset of each text in `points`, and the end.
        collapse_digits: Whether a run of digits counts as one digit.
    """
    out = np.empty((len(offsets) - 1, PERMUTATIONS), np.uint16)
    _minima(points, offsets, *tables(), *multipliers(), collapse_digits, out)
    return out


@kernel
def _mixed(x: Any, word: Any) -> Any:
    x = (x ^ word) * np.uint64(0x9E3779B97F4A7C15)
    return x ^ (x >> np.uint64(29))


@kernel
def _lower_minima(shingle: Any, factors: Any, summands: Any, minima: Any) -> Any:
    for k in range(factors.shape[0]):
        value = shingle * factors[k] + summands[k]
        if value < minima[k]:
            minima[k] = value


@kernel
def _units(points: Any, classes: Any, lower: Any, collapse_digits: Any, words: Any) -> Any:
    """Fill `words` with the hash of each unit, and return the number of units.

    With `collapse_digits` a run of digits is hashed as one digit.
    """
    prime, basis = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)  # FNV-1a
    count, word, inside, after_digit = 0, basis, False, False
    for i in range(points.shape[0]):
        point = points[i]
        kind = classes[point] if point < LIMIT else 0
        if kind == 1:
            low = lower[point]
            digit = low == 48 and collapse_digits
            if not digit:
                low = lower[point] if low != 48 else point  # `lower` holds one digit for all
            if not (digit and after_digit):
                word = (word ^ np.uint64(low)) * prime
            after_digit, inside = digit, True
            continue
        if inside:
            words[count] = word
            count, word, inside, after_digit = count + 1, basis, False, False
        if kind == 2:
            words[count] = np.uint64(point) * np.uint64(0x9E3779B97F4A7C15)
            count += 1
    if inside:
        words[count] = word
        count += 1
    return count


@kernel
def _minima(
    points: Any,
    offsets: Any,
    classes: Any,
    lower: Any,
    factors: Any,
    summands: Any,
    collapse_digits: Any,
    out: Any,
) -> Any:
    minima = np.empty(factors.shape[0], np.uint64)
    for document in range(offsets.shape[0] - 1):
        text = points[offsets[document] : offsets[document + 1]]
        words = np.empty(text.shape[0] + 1, np.uint64)
        count = _units(text, classes, lower, collapse_digits, words)
        minima[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        width = min(NGRAM, count)
        for start in range(count - width + 1 if count else 0):
            shingle = np.uint64(0)
            for j in range(width):
                shingle = _mixed(shingle, words[start + j])
            _lower_minima(shingle, factors, summands, minima)
        for k in range(minima.shape[0]):
            out[document, k] = np.uint16((minima[k] >> np.uint64(24)) & np.uint64(0xFFFF))
