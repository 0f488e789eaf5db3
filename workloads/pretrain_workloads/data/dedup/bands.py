"""Banding: documents with the same minima in a band of their signatures may be similar.

Source: Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.pipeline.deduplication import Deduplication
from pretrain_workloads.data.dedup.minhash import EMPTY, PERMUTATIONS, Signatures

_RECALL = 0.98
"""Share of the pairs at the threshold that must be candidates."""

_BELOW = 0.1
"""Similarity below the lowest threshold down to which pairs are kept, for the curve in the report:
what another threshold would drop. The recall is lower there."""

_LOWEST = 0.3
"""Lowest similarity of any pair: below it the candidates outnumber the documents."""

BUDGET_LOWEST = 0.5
"""Lowest similarity that a token budget may choose."""

type Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Banding:
    """How signatures are divided into bands, and which pairs count."""

    bands: int
    """Bands of a signature."""

    rows: int
    """Minima in a band."""

    floor: float
    """Least similarity of a pair that is kept."""


def banding(spec: Deduplication) -> Banding:
    """Return the banding that finds the pairs at the lowest threshold of `spec`."""
    assert spec.near is not None
    lowest = min([spec.near.similarity, *spec.near.per_domain.values()])
    if spec.budget is not None:
        lowest = min(lowest, BUDGET_LOWEST)
    bands, rows = choose_bands(lowest)
    return Banding(bands, rows, max(_LOWEST, round(lowest - _BELOW, 4)))


def choose_bands(similarity: float) -> tuple[int, int]:
    """Return (bands, rows) with the fewest candidates at a recall of `_RECALL`.

    A pair of similarity s shares a band with probability 1 - (1 - s^rows)^bands.
    """
    for rows in range(PERMUTATIONS, 1, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - similarity**rows) ** bands >= _RECALL:
            return bands, rows
    return PERMUTATIONS, 1


def band_keys(signatures: Signatures, bands: int, rows: int) -> Keys:
    """Return one 64-bit key for each document and band; 0 for documents without units."""
    keys = np.zeros((signatures.shape[0], bands), np.uint64)
    for column in range(rows):
        keys = (keys ^ signatures[:, column : bands * rows : rows]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    keys[(signatures == EMPTY).all(axis=1)] = 0
    return keys
