"""Decide which duplicates stay: one sweep over the edges, from the most similar down."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.pipeline.deduplication import NearDeduplication
from pretrain_workloads.data.dedup.edges import Edges
from pretrain_workloads.data.dedup.union_find import UnionFind

DECISION = np.dtype([("keep", np.bool_), ("cluster", np.int64), ("copies", np.int32)])
"""For each document: whether it stays, the smallest number in its cluster, and the size of that
cluster, exact duplicates included."""

type DocumentNumbers = npt.NDArray[np.int64]
"""One number for each document, or numbers of documents."""

type Thresholds = npt.NDArray[np.float32]

type Edge = tuple[int, int, float]
"""Two documents and their similarity."""


@dataclass(frozen=True)
class Clusters:
    """The outcome of deduplication."""

    decisions: npt.NDArray[Any]
    """One `DECISION` for each document."""

    exact: int
    """Documents dropped as exact duplicates."""

    near: int
    """Documents dropped as near-duplicates."""

    curve: list[tuple[float, int]]
    """(similarity, documents that would stay if it were the threshold), descending."""

    examples: list[Edge]
    """(kept document, dropped document, similarity), one for each of some clusters."""


def exact_representatives(hashes: npt.NDArray[Any]) -> DocumentNumbers:
    """Return for each document the first document with the same text."""
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    representatives: DocumentNumbers = first[inverse].astype(np.int64)
    return representatives


def thresholds(near: NearDeduplication, domains: list[str]) -> Thresholds:
    """Return the threshold of each document, from its domain."""
    values: dict[str, float] = {name: near.similarity for name in set(domains)} | near.per_domain
    return np.fromiter((values[domain] for domain in domains), np.float32, len(domains))


def cluster(
    representatives: DocumentNumbers,
    edges: Edges,
    limits: Thresholds,
    scores: DocumentNumbers,
    examples: int = 8,
) -> Clusters:
    """Decide which documents stay.

    Args:
        representatives: For each document, itself or the earlier document with the same text.
        edges: Similar pairs, in any order, repeated or not.
        limits: Threshold of each document; a pair takes the higher of its two.
        scores: Score of each document; the highest of a cluster stays, the first among equals.
        examples: Number of pairs to return for people to read.
    """
    size = len(representatives)
    forest = UnionFind(size)
    unique = int((representatives == np.arange(size)).sum())
    joined: list[Edge] = []
    for left, right, similarity in _sorted_edges(edges, representatives, limits):
        if forest.join(left, right):
            joined.append((left, right, similarity))
    roots = np.fromiter(map(forest.root, representatives.tolist()), np.int64, size)
    best = _best(roots, representatives, scores)
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


def _sorted_edges(edges: Edges, representatives: DocumentNumbers, limits: Thresholds) -> list[Edge]:
    """Return the edges between representatives above their thresholds, most similar first."""
    if not len(edges):
        return []
    left, right = representatives[edges["left"]], representatives[edges["right"]]
    similarity = edges["similarity"]
    counts = (left != right) & (similarity >= np.maximum(limits[left], limits[right]))
    left, right, similarity = left[counts], right[counts], similarity[counts]
    left, right = np.minimum(left, right), np.maximum(left, right)
    order = np.lexsort((right, left, -similarity))  # ties by number: independent of the tasks
    triples = zip(left[order].tolist(), right[order].tolist(), similarity[order].tolist())  # noqa: B905
    return list(triples)


def _best(
    roots: DocumentNumbers, representatives: DocumentNumbers, scores: DocumentNumbers
) -> DocumentNumbers:
    """Return for each root the document of its cluster that stays."""
    first_texts = np.flatnonzero(representatives == np.arange(len(roots)))
    order = first_texts[np.lexsort((first_texts, -scores[first_texts], roots[first_texts]))]
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
    joined: list[Edge], best: DocumentNumbers, roots: DocumentNumbers, count: int
) -> list[Edge]:
    """Return pairs spread over the range of similarities, at most one for each cluster."""
    by_kept: dict[int, Edge] = {}
    for left, right, similarity in joined:
        kept = int(best[roots[left]])
        if kept in (left, right):
            by_kept[kept] = (kept, right if kept == left else left, similarity)
    pairs = sorted(by_kept.values(), key=lambda pair: (-pair[2], pair[0]))
    step = max(1, len(pairs) // count)
    return pairs[::step][:count]
