"""Verify candidate pairs: the near-duplicates among them, with their estimated similarity."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.dedup.bands import Banding
from pretrain_workloads.data.dedup.groups import Pairs, candidate_pairs, unpack
from pretrain_workloads.data.dedup.minhash import Signatures
from pretrain_workloads.data.dedup.signature_files import (
    FIRST_BAND,
    HASHES,
    SCORES,
    SignatureFiles,
)
from pretrain_workloads.data.text.compiled import kernel

EDGE = np.dtype([("pair", np.uint64), ("similarity", np.float32)])
"""Two documents, packed (`groups.Pairs`), and their similarity."""

type Edges = npt.NDArray[Any]
"""An array of `EDGE`, ascending by pair, none twice."""

_BATCH_PAIRS = 1 << 20
"""Pairs whose signatures are in memory at once: at most half a gigabyte."""


def units_of_work(banding: Banding, rank: int, tasks: int) -> list[tuple[int, int, int]]:
    """Return the (band, part, parts) that task `rank` searches.

    With more tasks than bands, a band is divided by the keys of documents, so that every task has
    work.
    """
    parts = -(-tasks // banding.bands)
    units = [(band, part, parts) for band in range(banding.bands) for part in range(parts)]
    return units[rank::tasks]


def find_edges(files: SignatureFiles, banding: Banding, rank: int, tasks: int) -> tuple[Edges, int]:
    """Return the edges that the bands of task `rank` find first, and the number of candidates."""
    hashes = files.column(HASHES)
    scores = files.column(SCORES).view(np.float64)
    found: list[Edges] = [np.empty(0, EDGE)]
    candidates = 0
    for band, part, parts in units_of_work(banding, rank, tasks):
        keys = files.column(FIRST_BAND + band)
        if parts > 1:
            keys[(keys >> np.uint64(20)) % np.uint64(parts) != part] = 0
        pairs = candidate_pairs(keys, hashes, scores)
        del keys
        candidates += len(pairs)
        for start in range(0, len(pairs), _BATCH_PAIRS):
            found.append(verified(files, pairs[start : start + _BATCH_PAIRS], banding, band))
    return np.sort(np.concatenate(found), order="pair"), candidates


def verified(files: SignatureFiles, pairs: Pairs, banding: Banding, band: int) -> Edges:
    """Return the pairs of at least `banding.floor` that no earlier band finds, too."""
    left, right = unpack(pairs)
    numbers = np.unique(np.concatenate((left, right)))
    rows = files.rows(numbers)
    places = np.searchsorted(numbers, left), np.searchsorted(numbers, right)
    similarity = compare(rows, places, banding.rows, band)
    similar = similarity >= np.float32(banding.floor)
    edges = np.empty(int(similar.sum()), EDGE)
    edges["pair"], edges["similarity"] = pairs[similar], similarity[similar]
    return edges


def compare(
    rows: Signatures,
    places: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    band_rows: int,
    band: int,
) -> npt.NDArray[np.float32]:
    """Return the similarity of each pair, or -1 for a pair that shares an earlier band.

    Args:
        rows: Signatures.
        places: Places in `rows` of the left and of the right document of each pair.
        band_rows: Minima in a band.
        band: Number of the band that has found the pairs.
    """
    similarity = np.empty(len(places[0]), np.float32)
    _compare(rows, *places, band_rows, band, similarity)
    return similarity


def similarities(left: Signatures, right: Signatures) -> npt.NDArray[np.float32]:
    """Return the estimated Jaccard similarity of each pair of rows."""
    equal_share: npt.NDArray[np.float32] = (left == right).mean(axis=1, dtype=np.float32)
    return equal_share


@kernel
def _compare(rows: Any, left: Any, right: Any, band_rows: Any, band: Any, out: Any) -> Any:
    """Fill in the similarity of each pair, -1 for those that share an earlier band."""
    permutations = rows.shape[1]
    for pair in range(left.shape[0]):
        a, b = rows[left[pair]], rows[right[pair]]
        equal, run = 0, 0
        for k in range(permutations):
            same = a[k] == b[k]
            equal += same
            if k < band * band_rows:
                run = run + same if k % band_rows else int(same)
                if run == band_rows and k % band_rows == band_rows - 1:
                    equal = -permutations
                    break
        out[pair] = np.float32(equal) / np.float32(permutations)
