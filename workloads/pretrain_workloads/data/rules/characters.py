"""Drop documents by the kinds of their characters."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.pipeline.rules import CharacterRatioRule
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.data.text.compiled import kernel
from pretrain_workloads.data.text.units import LIMIT, OWN, WORD, Offsets, Points, tables

KINDS = ("han", "latin", "digits", "symbols", "whitespace")
"""Columns of `character_counts`, by their names in the API."""


def drop_reasons(rule: CharacterRatioRule, batch: Batch) -> list[str]:
    """Return for each document why the share of a kind of characters is outside the limits."""
    counts = character_counts(batch.points, batch.offsets)[:, KINDS.index(rule.of)]
    shares = counts / np.maximum(1, batch.characters)
    return [_reason(rule, share) for share in shares.tolist()]


def _reason(rule: CharacterRatioRule, share: float) -> str:
    if share < rule.min:
        return f"{share:.2f} of the characters are {rule.of}, fewer than {rule.min}"
    if share > rule.max:
        return f"{share:.2f} of the characters are {rule.of}, more than {rule.max}"
    return ""


def character_counts(points: Points, offsets: Offsets) -> npt.NDArray[np.int64]:
    """Return for each text the number of characters of each of `KINDS`."""
    out = np.zeros((len(offsets) - 1, len(KINDS)), np.int64)
    _count(points, offsets, tables()[0], out)
    return out


@kernel
def _kind(point: Any, classes: Any) -> Any:
    """Return the place of a character in `KINDS`, or -1 for letters of other scripts."""
    if point == 32 or 9 <= point <= 13 or point == 0xA0 or point == 0x3000:
        return 4
    if 48 <= point <= 57:
        return 2
    if point < 0x80 and 65 <= (point & 0xDF) <= 90:
        return 1
    if 0xC0 <= point < 0x250 and point != 0xD7 and point != 0xF7:
        return 1
    if 0x3400 <= point < 0xA000 or 0xF900 <= point < 0xFB00 or 0x20000 <= point < 0x40000:
        return 0
    kind = classes[point] if point < LIMIT else 0
    return -1 if kind == WORD or kind == OWN else 3


@kernel
def _count(points: Any, offsets: Any, classes: Any, out: Any) -> Any:
    for text in range(offsets.shape[0] - 1):
        for i in range(offsets[text], offsets[text + 1]):
            kind = _kind(points[i], classes)
            if kind >= 0:
                out[text, kind] += 1
