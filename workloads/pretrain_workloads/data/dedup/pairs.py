"""Verify candidate pairs: the edges between near-duplicate documents, with their similarity.

Documents are numbered over all tasks, in the order of the prepared shards.
"""

from collections.abc import Iterator
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.pipeline.deduplication import NearDeduplication
from pretrain_workloads.data.dedup.bands import (
    Pairs,
    band_keys,
    candidate_pairs,
    choose_bands,
    is_empty,
)
from pretrain_workloads.data.dedup.edges import EDGE, Edges
from pretrain_workloads.data.dedup.minhash import Signatures, similarities

_BATCH_PAIRS = 1 << 15
"""Pairs whose signatures are compared at once."""


class SignatureFiles:
    """The signatures of all tasks as one array; mapped files need not fit into memory."""

    def __init__(self, arrays: list[Signatures]) -> None:
        self._arrays = arrays
        self._starts = [0, *accumulate(len(array) for array in arrays)]

    def columns(self, start: int, end: int) -> Signatures:
        """Return the columns [start, end) of all rows."""
        return np.concatenate([array[:, start:end] for array in self._arrays])

    def rows(self, numbers: npt.NDArray[np.int64]) -> Signatures:
        """Return the rows of some documents."""
        out = np.empty((len(numbers), self._arrays[0].shape[1]), np.uint32)
        files = np.searchsorted(self._starts, numbers, side="right") - 1
        for file in np.unique(files):
            here = files == file
            out[here] = self._arrays[file][numbers[here] - self._starts[file]]
        return out


def find_edges(
    signatures: SignatureFiles, near: NearDeduplication, rank: int, tasks: int
) -> tuple[Edges, int]:
    """Return the edges that the bands of task `rank` give, and the number of candidates.

    An edge is at least as similar as the lowest threshold of all domains.
    """
    lowest = min([near.similarity, *near.per_domain.values()])
    bands, rows = choose_bands(lowest)
    candidates = [np.empty((0, 2), np.int64)]
    for number in range(rank, bands, tasks):
        band = signatures.columns(number * rows, (number + 1) * rows)
        candidates.append(candidate_pairs(band_keys(band), ~is_empty(band)))
    pairs = np.unique(np.concatenate(candidates), axis=0)
    edges = np.concatenate([np.empty(0, EDGE), *_verified(signatures, pairs, lowest)])
    return edges, len(pairs)


def _verified(signatures: SignatureFiles, pairs: Pairs, lowest: float) -> Iterator[Edges]:
    """Yield the pairs of similarity `lowest` and more, batch by batch."""
    for start in range(0, len(pairs), _BATCH_PAIRS):
        left, right = pairs[start : start + _BATCH_PAIRS].T
        similarity = similarities(signatures.rows(left), signatures.rows(right))
        similar = similarity >= np.float32(lowest)
        edges = np.empty(int(similar.sum()), EDGE)
        edges["left"], edges["right"] = left[similar], right[similar]
        edges["similarity"] = similarity[similar]
        yield edges
