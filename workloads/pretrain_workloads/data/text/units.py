"""Units of text for compiled kernels: a run of letters and digits, or one Han or kana character.

A kernel gets the code points (UTF-32) of many documents at once, and two tables that map code
points to their class and to their lower case.
"""

import unicodedata
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.text.compiled import kernel

type Points = npt.NDArray[np.uint32]
type Offsets = npt.NDArray[np.int64]

LIMIT = 0x30000
"""Size of the tables. Code points from here on count as separators: only rare Han is there."""

WORD, OWN = 1, 2
"""Classes of code points: part of a run, or a unit of its own. 0 is a separator."""

_OWN_RANGES = ((0x3040, 0x3100), (0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, LIMIT))


def code_points(texts: list[str]) -> tuple[Points, Offsets]:
    """Return the code points of all `texts`, concatenated, and the offset of each text.

    The last offset, one more than there are texts, is the end.
    """
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return np.frombuffer(joined, np.uint32), np.concatenate(([0], np.cumsum(lengths)))


def utf8_offsets(points: Points, offsets: Offsets) -> Offsets:
    """Return the offset that each text would have in the UTF-8 of all of them, and the end."""
    out = np.zeros(len(offsets), np.int64)
    _utf8_ends(points, offsets, out[1:])
    return out


@kernel
def _utf8_ends(points: Any, offsets: Any, ends: Any) -> Any:
    size = 0
    for text in range(offsets.shape[0] - 1):
        for i in range(offsets[text], offsets[text + 1]):
            point = points[i]
            size += 1 + (point >= 0x80) + (point >= 0x800) + (point >= 0x10000)
        ends[text] = size


@lru_cache(maxsize=1)
def tables() -> tuple[npt.NDArray[np.uint8], Points]:
    """Return the class of each code point, and its lower case with every digit as `0`."""
    classes = np.zeros(LIMIT, np.uint8)
    lower = np.arange(LIMIT, dtype=np.uint32)
    for point in range(0x20000):
        if 0x3400 <= point < 0xA000 or 0xAC00 <= point < 0xF900:
            continue  # Han and Hangul have no case and no digits; their classes are set below
        character = chr(point)
        category = unicodedata.category(character)
        if category[0] not in "LN":
            continue
        classes[point] = WORD
        if category == "Nd":
            lower[point] = ord("0")
        elif len(small := character.lower()) == 1:
            lower[point] = ord(small)
    classes[0xAC00:0xD7A4] = WORD
    for start, end in _OWN_RANGES:
        own = classes[start:end]
        own[(own == WORD) | (start >= 0x3400)] = OWN
    return classes, lower
