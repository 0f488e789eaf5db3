"""Drop documents that repeat themselves: Gopher's measures, with limits for each language.

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

    @property
    def columns(self) -> tuple[float, ...]:
        """Return one limit for each column of `repetition_kernel.measure`."""
        return (self.lines, self.line_characters, *self.top, *self.duplicated)


_GOPHER = RepetitionLimits(0.30, 0.20, (0.20, 0.18, 0.16), (0.15, 0.14, 0.13, 0.12, 0.11, 0.10))

_HAN = RepetitionLimits(0.30, 0.25, (0.25, 0.22, 0.20), (0.45, 0.43, 0.41, 0.39, 0.37, 0.35))
"""A unit is a character, and characters recur in old verse (refrains, parallel lines)."""

_CODE = RepetitionLimits(0.70, 0.60, (0.40, 0.38, 0.36), (0.70, 0.68, 0.66, 0.64, 0.62, 0.60))
"""Code repeats lines (`else:`, `return None`) and phrases; tables of data do so even more."""

_BY_LANGUAGE = {"zh": _HAN, "ja": _HAN, "code": _CODE}


def drop_reasons(rule: RepetitionRule, batch: Batch) -> list[str]:
    """Return for each document which measure of repetition exceeds its limit."""
    from pretrain_workloads.data.rules.repetition_kernel import measure  # numba loads slowly

    shares = measure(batch.points, batch.offsets)
    limits = {name: limits_for(rule, name) for name in set(batch.languages)}
    return excesses(shares, [limits[language] for language in batch.languages])


def limits_for(rule: RepetitionRule, language: str) -> RepetitionLimits:
    """Return the limits of `rule` for a language; unset ones take the language's default."""
    default = _BY_LANGUAGE.get(language, _GOPHER)
    top = rule.max_top_ngram_character_fraction
    duplicated = rule.max_duplicate_ngram_character_fraction
    lines = rule.max_duplicate_line_fraction
    characters = rule.max_duplicate_line_character_fraction
    return RepetitionLimits(
        default.lines if lines is None else lines,
        default.line_characters if characters is None else characters,
        default.top if top is None else (top,) * len(TOP),
        default.duplicated if duplicated is None else (duplicated,) * len(DUPLICATED),
    )


def excesses(shares: npt.NDArray[np.float64], limits: list[RepetitionLimits]) -> list[str]:
    """Return for each row the first measure above its limit, in words; empty if none is."""
    bounds = np.array([limit.columns for limit in limits]).reshape(shares.shape)
    above = shares > bounds
    reasons = [""] * len(limits)
    for row in np.flatnonzero(above.any(axis=1)).tolist():
        column = int(above[row].argmax())
        share, bound = shares[row, column], bounds[row, column]
        reasons[row] = f"{share:.2f} {_MEASURES[column]}, more than {bound:.2f}"
    return reasons
