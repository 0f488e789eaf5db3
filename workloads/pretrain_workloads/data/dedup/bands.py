"""Banding: find pairs of documents that may be similar, without comparing all pairs.

Documents with the same minima in a band of their signatures are candidates.

Source: Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.
"""

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.dedup.minhash import EMPTY, PERMUTATIONS, Signatures

_RECALL = 0.98
"""Share of the pairs at the threshold that must be candidates."""

_NEIGHBOURS = 8
"""In a group with one key, a document is compared with the first and with this many that follow it.
Groups of thousands (licence headers) would give millions of pairs that add nothing to a cluster."""

type Keys = npt.NDArray[np.uint64]
type Pairs = npt.NDArray[np.int64]


def choose_bands(similarity: float) -> tuple[int, int]:
    """Return (bands, rows) with the fewest candidates at a recall of `_RECALL`.

    A pair of similarity s shares a band with probability 1 - (1 - s^rows)^bands.
    """
    for rows in range(PERMUTATIONS, 1, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - similarity**rows) ** bands >= _RECALL:
            return bands, rows
    return PERMUTATIONS, 1


def band_keys(band: Signatures) -> Keys:
    """Return one 64-bit key for each row of a band, the columns of a band of all signatures."""
    keys = np.zeros(band.shape[0], np.uint64)
    for column in range(band.shape[1]):
        keys = (keys ^ band[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    return keys


def is_empty(band: Signatures) -> npt.NDArray[np.bool_]:
    """Return for each row of a band whether its document has no units."""
    empty: npt.NDArray[np.bool_] = (band == EMPTY).all(axis=1)
    return empty


def candidate_pairs(keys: Keys, valid: npt.NDArray[np.bool_]) -> Pairs:
    """Return candidate pairs (left < right) of valid documents with equal keys.

    They connect all valid documents with one key.
    """
    numbers = np.flatnonzero(valid)
    order = np.argsort(keys[numbers], kind="stable")  # within a key, by number
    numbers, keys = numbers[order], keys[numbers][order]
    if len(keys) < 2:
        return np.empty((0, 2), np.int64)
    starts = np.concatenate(([True], keys[1:] != keys[:-1]))
    first = numbers[np.maximum.accumulate(np.where(starts, np.arange(len(keys)), 0))]
    pairs = [np.stack((first[~starts], numbers[~starts]), axis=1)]
    for distance in range(1, min(_NEIGHBOURS, len(keys) - 1) + 1):
        same = keys[distance:] == keys[:-distance]
        if not same.any():
            break
        pairs.append(np.stack((numbers[:-distance][same], numbers[distance:][same]), axis=1))
    return np.unique(np.concatenate(pairs), axis=0)
