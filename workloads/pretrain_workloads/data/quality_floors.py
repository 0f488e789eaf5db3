"""The least quality of documents: which entry of `keep` is for which, and what falls below it."""

from functools import cache

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.pipeline.models import QualityFloor

QUALITY_KEY = "996-quality"
"""Name of the least quality in counts: it comes after all rules."""

type FloorNumbers = npt.NDArray[np.integer]
"""For each document the position of its entry of `keep`, -1 if none is for it."""


def floor_of(floors: list[QualityFloor], languages: list[str], domains: list[str]) -> FloorNumbers:
    """Return for each document the position of the first entry that is for it, -1 for none."""

    @cache
    def position(language: str, domain: str) -> int:
        for number, floor in enumerate(floors):
            fits = not floor.languages or language in floor.languages
            if fits and (not floor.domains or domain in floor.domains):
                return number
        return -1

    found = (position(*pair) for pair in zip(languages, domains, strict=True))
    return np.fromiter(found, np.int64, len(languages))


def beyond_fraction(
    floors: list[QualityFloor],
    entries: FloorNumbers,
    first: npt.NDArray[np.uint32],
    qualities: npt.NDArray[np.float32],
) -> npt.NDArray[np.bool_]:
    """Return which documents fall below the share that an entry keeps, with all their copies.

    Among equals the first stays.

    Args:
        floors: The entries.
        entries: Entry of each document.
        first: The first document with the text of each document.
        qualities: Score of each document, NaN if it has none.
    """
    below = np.zeros(len(first), np.bool_)
    counts = (first == np.arange(len(first), dtype=np.uint32)) & ~np.isnan(qualities)
    for number, floor in enumerate(floors):
        if floor.fraction is None:
            continue
        covered = np.flatnonzero(counts & (entries == number))
        best_first = covered[np.argsort(-qualities[covered], kind="stable")]
        below[best_first[round(floor.fraction * len(covered)) :]] = True
    return below[first]
