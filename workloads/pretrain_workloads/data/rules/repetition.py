"""How much a text repeats itself: Gopher's measures, with limits for each language.

Source: Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
2021, table A1. Units are words, but single characters in Chinese; only letters and digits count
as characters, so that the layout of code and tables is no repetition.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.datapipeline import RepetitionRule
from pretrain_workloads.data.text.compiled import kernel
from pretrain_workloads.data.text.units import LIMIT, code_points, tables

TOP = (2, 3, 4)
"""n-grams whose most frequent one is measured."""

DUPLICATED = (5, 6, 7, 8, 9, 10)
"""n-grams whose repeats are measured."""

COLUMNS = 2 + len(TOP) + len(DUPLICATED)
"""Measures of a document: repeated lines, their characters, top n-grams, duplicated n-grams."""

_NAMES = (
    "repeated lines",
    "characters in repeated lines",
    *(f"characters in the top {n}-gram" for n in TOP),
    *(f"characters in repeated {n}-grams" for n in DUPLICATED),
)

_FEWEST_LINES = 4
"""Shorter texts (a couplet and its echo) are not judged by their lines."""

_FEWEST_UNITS = 40
"""Shorter texts (a poem of eight lines) are not judged by their n-grams."""


@dataclass(frozen=True)
class Limits:
    """Largest shares that are kept."""

    lines: float
    line_characters: float
    top: tuple[float, ...]
    duplicated: tuple[float, ...]

    @property
    def bounds(self) -> tuple[float, ...]:
        """Return one bound for each measure."""
        return (self.lines, self.line_characters, *self.top, *self.duplicated)


_GOPHER = Limits(0.30, 0.20, (0.20, 0.18, 0.16), (0.15, 0.14, 0.13, 0.12, 0.11, 0.10))

_BY_LANGUAGE = {
    # A unit is a character, and characters recur in old verse (refrains, parallel lines).
    "zh": Limits(0.30, 0.25, (0.25, 0.22, 0.20), (0.45, 0.43, 0.41, 0.39, 0.37, 0.35)),
    "ja": Limits(0.30, 0.25, (0.25, 0.22, 0.20), (0.45, 0.43, 0.41, 0.39, 0.37, 0.35)),
    # Code repeats lines (`else:`, `return None`) and phrases by its nature; tables of data do more.
    "code": Limits(0.70, 0.60, (0.40, 0.38, 0.36), (0.70, 0.68, 0.66, 0.64, 0.62, 0.60)),
}


def limits_for(rule: RepetitionRule, language: str) -> Limits:
    """Return the limits of `rule` for a language; unset ones take the language's default."""
    default = _BY_LANGUAGE.get(language, _GOPHER)
    top, duplicated = (
        rule.max_top_ngram_character_fraction,
        rule.max_duplicate_ngram_character_fraction,
    )
    lines, characters = (
        rule.max_duplicate_line_fraction,
        rule.max_duplicate_line_character_fraction,
    )
    return Limits(
        default.lines if lines is None else lines,
        default.line_characters if characters is None else characters,
        default.top if top is None else (top,) * len(TOP),
        default.duplicated if duplicated is None else (duplicated,) * len(DUPLICATED),
    )


def excesses(shares: npt.NDArray[np.float64], limits: list[Limits]) -> list[str]:
    """Return for each row which measure is above its limit, in words; empty if none is."""
    bounds = np.array([limit.bounds for limit in limits]).reshape(shares.shape)
    above = shares > bounds
    out = [""] * len(limits)
    for row in np.flatnonzero(above.any(axis=1)).tolist():
        column = int(above[row].argmax())
        share, bound = shares[row, column], bounds[row, column]
        out[row] = f"{share:.2f} {_NAMES[column]}, more than {bound:.2f}"
    return out


def measure(texts: list[str]) -> npt.NDArray[np.float64]:
    """Return the `COLUMNS` shares of each text."""
    points, offsets = code_points(texts)
    out = np.zeros((len(texts), COLUMNS))
    _measure_all(points, offsets, tables()[0], out)
    return out


@kernel
def _slot(table: Any, key: Any) -> Any:
    """Return the place of `key` in an open-addressing table, or the free place for it."""
    mask = np.uint64(table.shape[0] - 1)
    place = (key ^ (key >> np.uint64(32))) & mask
    while table[place] != np.uint64(0) and table[place] != key:
        place = (place + np.uint64(1)) & mask
    return place


@kernel
def _table_size(entries: Any) -> Any:
    size = 2
    while size < 2 * entries:
        size *= 2
    return size


@kernel
def _lines(points: Any, classes: Any, out: Any) -> Any:
    """Measure repeated lines; a line is known by its letters, digits and signs, without spaces."""
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
            line |= np.uint64(1)  # zero means free
            place = _slot(table, line)
            lines, characters = lines + 1, characters + length
            if table[place] == line:
                repeated, repeated_characters = repeated + 1, repeated_characters + length
            table[place] = line
        line, length = np.uint64(0xCBF29CE484222325), 0
    if lines >= _FEWEST_LINES:
        out[0] = repeated / lines
        out[1] = repeated_characters / characters


@kernel
def _split(points: Any, classes: Any, units: Any, lengths: Any) -> Any:
    """Fill in the hash and the characters of each unit, and return how many there are."""
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
    """Return the characters that the most frequent n-gram covers, if it occurs at least thrice."""
    table = np.zeros(_table_size(entries), np.uint64)
    counts = np.zeros(table.shape[0], np.int64)
    most, covered = 2, 0
    for i in range(entries):
        place = _slot(table, hashes[i])
        table[place] = hashes[i]
        counts[place] += 1
        if counts[place] > most or (counts[place] == most > 2 and most * characters[i] > covered):
            most, covered = counts[place], counts[place] * characters[i]
    return covered


@kernel
def _repeats(hashes: Any, characters: Any, entries: Any, n: Any) -> Any:
    """Return the characters in n-grams that were there before; a repeat is counted once."""
    table = np.zeros(_table_size(entries), np.uint64)
    i, covered = 0, 0
    while i < entries:
        place = _slot(table, hashes[i])
        if table[place] == hashes[i]:
            covered += characters[i]
            i += n
        else:
            table[place] = hashes[i]
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
        if count < _FEWEST_UNITS:
            continue
        total = lengths[:count].sum()
        hashes, characters = np.empty(count, np.uint64), np.empty(count, np.int64)
        for n in range(2, 11):
            entries = _hash_ngrams(units, lengths, count, n, hashes, characters)
            if n <= 4:
                out[document, n] = _top(hashes, characters, entries) / total
            else:
                out[document, n] = _repeats(hashes, characters, entries, n) / total
