"""Which of the copies stay: one sweep over the similar pairs, from the most similar down."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.datapipeline import NearDeduplication

DECISION = np.dtype([("keep", np.bool_), ("cluster", np.int64), ("copies", np.int32)])
"""For each document: whether it stays, its cluster, and how many documents it stands for."""

type Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """The outcome of deduplication."""

    decisions: npt.NDArray[Any]
    """One `DECISION` for each document."""

    exact: int
    """Documents dropped as exact copies."""

    near: int
    """Documents dropped as near copies."""

    curve: list[tuple[float, int]]
    """(similarity, documents that would stay if pairs from it on were copies), descending."""

    examples: list[tuple[int, int, float]]
    """(kept document, dropped document, similarity) of some clusters."""


def exact_representatives(hashes: npt.NDArray[Any]) -> Numbers:
    """Return for each document the first document with the same text."""
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    representatives: Numbers = first[inverse].astype(np.int64)
    return representatives


class Forest:
    """Union-find whose root is always the smallest number of its tree."""

    def __init__(self, size: int) -> None:
        self.parents = list(range(size))

    def root(self, number: int) -> int:
        """Return the smallest number in the tree of `number`."""
        parents = self.parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, left: int, right: int) -> bool:
        """Join two trees; return whether they were two."""
        left, right = self.root(left), self.root(right)
        if left == right:
            return False
        self.parents[max(left, right)] = min(left, right)
        return True


def thresholds(near: NearDeduplication, domains: list[str]) -> npt.NDArray[np.float32]:
    """Return the similarity from which a copy of each document counts as one."""
    values: dict[str, float] = {name: near.similarity for name in set(domains)} | near.per_domain
    return np.fromiter((values[domain] for domain in domains), np.float32, len(domains))


def cluster(
    representatives: Numbers,
    edges: npt.NDArray[Any],
    limits: npt.NDArray[np.float32],
    worth: Numbers,
    examples: int = 8,
) -> Clusters:
    """Decide which documents stay.

    Args:
        representatives: For each document, itself or the earlier document that it equals.
        edges: Similar pairs (`match.EDGE`), in any order, repeated or not.
        limits: For each document, the similarity from which a copy counts as one. A pair takes the
            higher one of its two.
        worth: For each document, how much it is worth; of a cluster the most worth stays, and of
            equals the first.
        examples: How many pairs to return for people to look at.
    """
    size = len(representatives)
    forest = Forest(size)
    unique = int((representatives == np.arange(size)).sum())
    joined: list[tuple[int, int, float]] = []
    for left, right, similarity in _sorted_edges(edges, representatives, limits):
        if forest.join(left, right):
            joined.append((left, right, similarity))
    roots = np.fromiter(map(forest.root, representatives.tolist()), np.int64, size)
    best = _best(roots, representatives, worth)
    decisions = np.zeros(size, DECISION)
    decisions["keep"] = best[roots] == np.arange(size)
    decisions["cluster"] = roots
    decisions["copies"] = np.bincount(roots, minlength=size)[roots]
    return Clusters(
        decisions,
        exact=size - unique,
        near=len(joined),
        curve=_curve(unique, [similarity for *_, similarity in joined]),
        examples=_examples(joined, best, roots, examples),
    )


def _sorted_edges(
    edges: npt.NDArray[Any], representatives: Numbers, limits: npt.NDArray[np.float32]
) -> list[tuple[int, int, float]]:
    """Return the pairs that count, between representatives, the most similar first."""
    if not len(edges):
        return []
    left, right = representatives[edges["left"]], representatives[edges["right"]]
    similarity = edges["similarity"]
    counts = (left != right) & (similarity >= np.maximum(limits[left], limits[right]))
    left, right, similarity = left[counts], right[counts], similarity[counts]
    left, right = np.minimum(left, right), np.maximum(left, right)
    order = np.lexsort((right, left, -similarity))  # ties by number: no order of tasks matters
    triples = zip(left[order].tolist(), right[order].tolist(), similarity[order].tolist())  # noqa: B905
    return list(triples)


def _best(roots: Numbers, representatives: Numbers, worth: Numbers) -> Numbers:
    """Return for each root the document of its cluster that stays."""
    own = np.flatnonzero(representatives == np.arange(len(roots)))  # exact copies never stay
    order = own[np.lexsort((own, -worth[own], roots[own]))]
    first = np.concatenate(([True], roots[order][1:] != roots[order][:-1]))[: len(order)]
    best = np.full(len(roots), -1, np.int64)
    best[roots[order[first]]] = order[first]
    return best


def _curve(unique: int, similarities: list[float]) -> list[tuple[float, int]]:
    values = np.asarray(similarities)
    steps = [step / 20 for step in range(20, 5, -1)]
    lowest = float(values.min()) if len(values) else 1.0
    return [
        (step, unique - int((values >= np.float32(step)).sum()))
        for step in steps
        if step >= lowest - 0.05
    ]


def _examples(
    joined: list[tuple[int, int, float]], best: Numbers, roots: Numbers, count: int
) -> list[tuple[int, int, float]]:
    """Return pairs spread over the range of similarities, one for each cluster."""
    found: dict[int, tuple[int, int, float]] = {}
    for left, right, similarity in joined:
        kept = int(best[roots[left]])
        if kept in (left, right):
            found[kept] = (kept, right if kept == left else left, similarity)
    pairs = sorted(found.values(), key=lambda pair: (-pair[2], pair[0]))
    step = max(1, len(pairs) // count)
    return pairs[::step][:count]
