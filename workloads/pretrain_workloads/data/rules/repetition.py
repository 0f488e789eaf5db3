"""Drop documents that repeat themselves: Gopher's measures, with limits by language and length.

Source: Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
2021, table A1. Units are words, but single characters in Chinese.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.pipeline.rules import RepetitionRule
from pretrain_workloads.data.batch import Batch

TOP = (2, 3, 4)
"""Values of n for which the most frequent n-gram has a limit."""

DUPLICATED = (5, 6, 7, 8, 9, 10)
"""Values of n for which repeated n-grams have a limit."""

_MEASURES = (
    "repeated lines",
    "characters in repeated lines",
    *(f"characters in the top {n}-gram" for n in TOP),
    *(f"characters in repeated {n}-grams" for n in DUPLICATED),
)
"""The columns of `repetition_kernel.measure`, in words."""


@dataclass(frozen=True)
class RepetitionLimits:
    """Largest share of each measure at which a document is kept."""

    lines: float
    line_characters: float
    top: tuple[float, ...]
    duplicated: tuple[float, ...]
    growth: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """What is added to the limits of lines, of characters in lines, and of repeated n-grams each
    time that a document is twice as long, from `_SHORT` characters on."""

    @property
    def columns(self) -> tuple[float, ...]:
        """Return one limit for each column of `repetition_kernel.measure`, for short documents."""
        return (self.lines, self.line_characters, *self.top, *self.duplicated)

    @property
    def growth_columns(self) -> tuple[float, ...]:
        """Return what is added to each column for a doubling of the length."""
        lines, characters, duplicated = self.growth
        return (lines, characters, *(0.0,) * len(TOP), *(duplicated,) * len(DUPLICATED))


_SHORT = 1024
"""Characters up to which limits do not grow."""

_LARGEST = 0.9
"""No limit grows beyond."""


def _descending(first: float, step: float) -> tuple[float, ...]:
    return tuple(round(first - step * place, 2) for place in range(len(DUPLICATED)))


# Gopher's limits (0.30 and 0.20 for lines, 0.20 to 0.16 for the top n-gram, 0.15 to 0.10 for
# repeated ones) are for web pages. A manual of 100 pages repeats far more of itself without being
# the worse for it: they would drop a sixth of the bytes of good English manuals. These limits lie
# above what 997 of 1,000 good documents of each length have; `make bench-rules` checks them.
_ENGLISH = RepetitionLimits(
    0.38, 0.30, (0.32, 0.32, 0.30), _descending(0.46, 0.03), (0.05, 0.05, 0.035)
)

_HAN = RepetitionLimits(0.40, 0.36, (0.32, 0.32, 0.32), _descending(0.60, 0.03), (0.05, 0.06, 0.04))
"""A unit is a character, and characters recur in old verse (refrains, parallel lines)."""

_CODE = RepetitionLimits(
    0.60, 0.55, (0.46, 0.46, 0.46), _descending(0.58, 0.02), (0.06, 0.06, 0.045)
)
"""Code repeats lines (`else:`, `return None`) and phrases; tables of data do so even more."""

_BY_LANGUAGE = {"zh": _HAN, "ja": _HAN, "code": _CODE}


def drop_reasons(rule: RepetitionRule, batch: Batch) -> list[str]:
    """Return for each document which measure of repetition exceeds its limit."""
    from pretrain_workloads.data.rules.repetition_kernel import measure  # numba loads slowly

    shares = measure(batch.points, batch.offsets)
    limits = {name: limits_for(rule, name) for name in set(batch.languages)}
    return excesses(shares, [limits[name] for name in batch.languages], batch.characters)


def limits_for(rule: RepetitionRule, language: str) -> RepetitionLimits:
    """Return the limits of `rule` for a language; unset ones take the language's default.

    A limit that the rule sets is the same for documents of all lengths.
    """
    default = _BY_LANGUAGE.get(language, _ENGLISH)
    top = rule.max_top_ngram_character_fraction
    duplicated = rule.max_duplicate_ngram_character_fraction
    lines = rule.max_duplicate_line_fraction
    characters = rule.max_duplicate_line_character_fraction
    growth = zip(default.growth, (lines, characters, duplicated), strict=True)
    return RepetitionLimits(
        default.lines if lines is None else lines,
        default.line_characters if characters is None else characters,
        default.top if top is None else (top,) * len(TOP),
        default.duplicated if duplicated is None else (duplicated,) * len(DUPLICATED),
        tuple(step if given is None else 0.0 for step, given in growth),  # type: ignore[arg-type]
    )


def excesses(
    shares: npt.NDArray[np.float64],
    limits: list[RepetitionLimits],
    characters: npt.NDArray[np.int64],
) -> list[str]:
    """Return for each row the first measure above its limit, in words; empty if none is.

    Args:
        shares: The measures of each document.
        limits: The limits of each document.
        characters: The length of each document.
    """
    shape = shares.shape
    bounds = np.array([limit.columns for limit in limits]).reshape(shape)
    growth = np.array([limit.growth_columns for limit in limits]).reshape(shape)
    doublings = np.log2(np.maximum(characters, _SHORT) / _SHORT)[:, None]
    bounds = np.maximum(bounds, np.minimum(bounds + growth * doublings, _LARGEST))
    above = shares > bounds
    reasons = [""] * len(limits)
    for row in np.flatnonzero(above.any(axis=1)).tolist():
        column = int(above[row].argmax())
        share, bound = shares[row, column], bounds[row, column]
        reasons[row] = f"{share:.2f} {_MEASURES[column]}, more than {bound:.2f}"
    return reasons
