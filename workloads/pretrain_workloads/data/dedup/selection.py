"""Select the documents that stay: none is dropped but for a near-duplicate that stays.

Documents are taken by score, the best first. One stays unless a document that already stays is
similar enough to it. So the best of any two near-duplicates stays, and no chain of pairs, each a
little different, drops a document that resembles nothing that is left.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.dedup.groups import unpack
from pretrain_workloads.data.dedup.pairs import Edges
from pretrain_workloads.data.text.compiled import kernel

NOBODY = np.uint32(0xFFFFFFFF)
"""In `kept_for`: the document stays."""


@dataclass(frozen=True)
class Neighbours:
    """The similar documents of each document, as compressed rows.

    The documents with a neighbour are counted anew: `documents` holds their numbers, ascending.
    """

    documents: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]
    others: npt.NDArray[np.uint32]
    """Places in `documents`."""
    similarities: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Selection:
    """What stays, at one threshold."""

    kept_for: npt.NDArray[np.uint32]
    """For each place in `Neighbours.documents` the place it is dropped for, or `NOBODY`."""

    similarities: npt.NDArray[np.float32]
    """The similarity of the two; 0 for documents that stay."""


def neighbours(edges: Edges) -> Neighbours:
    """Return the neighbours that `edges` name; every edge counts for both of its documents."""
    left, right = unpack(edges["pair"])
    documents = np.unique(np.concatenate((left, right)))
    left, right = np.searchsorted(documents, left), np.searchsorted(documents, right)
    starts = np.zeros(len(documents) + 1, np.int64)
    np.cumsum(np.bincount(np.concatenate((left, right)), minlength=len(documents)), out=starts[1:])
    others = np.empty(2 * len(edges), np.uint32)
    similarities = np.empty(2 * len(edges), np.float32)
    _fill(left, right, edges["similarity"].copy(), starts[:-1].copy(), others, similarities)
    return Neighbours(documents.astype(np.uint32), starts, others, similarities)


def select(
    near: Neighbours, order: npt.NDArray[np.int64], limits: npt.NDArray[np.float32]
) -> Selection:
    """Return which documents stay.

    Args:
        near: The similar pairs.
        order: Places in `near.documents`, the best document first.
        limits: Threshold of each place; a pair takes the higher of its two.
    """
    kept_for = np.full(len(near.documents), NOBODY, np.uint32)
    similarities = np.zeros(len(near.documents), np.float32)
    done = np.zeros(len(near.documents), np.bool_)
    _select(
        near.starts, near.others, near.similarities, order, limits, done, kept_for, similarities
    )
    return Selection(kept_for, similarities)


def components(near: Neighbours, limits: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Return for each place the first place that a chain of pairs above the limits leads to."""
    roots = np.arange(len(near.documents), dtype=np.uint32)
    _join(near.starts, near.others, near.similarities, limits, roots)
    return roots


@kernel
def _fill(left: Any, right: Any, values: Any, next_free: Any, others: Any, out: Any) -> Any:
    for edge in range(left.shape[0]):
        for a, b in ((left[edge], right[edge]), (right[edge], left[edge])):
            others[next_free[a]], out[next_free[a]] = b, values[edge]
            next_free[a] += 1


@kernel
def _select(
    starts: Any,
    others: Any,
    values: Any,
    order: Any,
    limits: Any,
    done: Any,
    kept_for: Any,
    similarities: Any,
) -> Any:
    for place in order:
        done[place] = True
        best = np.float32(0)
        for i in range(starts[place], starts[place + 1]):
            other, value = others[i], values[i]
            stays = done[other] and kept_for[other] == NOBODY
            if not stays or value < max(limits[place], limits[other]):
                continue
            if value > best or (value == best and other < kept_for[place]):
                best, kept_for[place], similarities[place] = value, other, value


@kernel
def _root(roots: Any, place: Any) -> Any:
    while roots[place] != place:
        roots[place] = roots[roots[place]]
        place = roots[place]
    return place


@kernel
def _join(starts: Any, others: Any, values: Any, limits: Any, roots: Any) -> Any:
    for place in range(roots.shape[0]):
        for i in range(starts[place], starts[place + 1]):
            if values[i] >= max(limits[place], limits[others[i]]):
                a, b = _root(roots, place), _root(roots, others[i])
                roots[max(a, b)] = min(a, b)
    for place in range(roots.shape[0]):
        roots[place] = _root(roots, place)
