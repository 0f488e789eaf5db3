"""The outcome of deduplication: which documents stay, for which one each other is dropped."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.dedup.pairs import Edges
from pretrain_workloads.data.dedup.selection import (
    NOBODY,
    Neighbours,
    Selection,
    components,
    neighbours,
    select,
)
from pretrain_workloads.data.dedup.table import DocumentTable
from pretrain_workloads.data.dedup.thresholds import Thresholds

DECISION = np.dtype(
    [
        ("keep", np.bool_),
        ("below", np.bool_),
        ("exact", np.bool_),
        ("cluster", np.uint32),
        ("copies", np.uint32),
        ("kept", np.uint32),
        ("similarity", np.float32),
    ]
)
"""For each document: whether it stays; whether it is dropped for its quality; whether its text is
that of an earlier one; the smallest number in its cluster, and the size of that cluster, exact
duplicates included; for which document it is dropped (itself if it stays), and their similarity (1
to itself). A cluster is what chains of similar pairs connect; several of its documents may stay."""

_STEP = 0.05
"""Distance of the thresholds in the curve."""

_BUDGET_STEP = 0.01

type Example = tuple[int, int, float]
"""A kept document, one that is dropped for it, and their similarity."""


@dataclass(frozen=True)
class Clusters:
    """The outcome of deduplication."""

    decisions: npt.NDArray[Any]
    """One `DECISION` for each document."""

    exact: int
    """Documents dropped as exact duplicates."""

    near: int
    """Documents dropped as near-duplicates."""

    similarity: float | None
    """The threshold that was used: that of the spec, or the one that a budget chose."""

    curve: list[tuple[float, int, int]]
    """(similarity, documents and tokens that would stay if it were the threshold), descending."""

    sizes: list[int]
    """Clusters of 2, 3-4, 5-8, 9-16, … documents."""

    examples: list[Example]
    """Pairs for people to read, spread over the range of similarities."""


class Deduplicator:
    """Selects documents at any threshold.

    Args:
        table: All documents.
        edges: Similar pairs; exact copies are in none.
        thresholds: The thresholds; unset if near-duplicates stay.
    """

    def __init__(self, table: DocumentTable, edges: Edges, thresholds: Thresholds | None) -> None:
        self._table, self._thresholds = table, thresholds
        self._near: Neighbours = neighbours(edges)
        scores = table.scores[self._near.documents]
        self._order = np.argsort(-scores, kind="stable")  # among equals the first
        first = table.first == np.arange(len(table.first), dtype=np.uint32)
        self._exact = int((~first & ~table.below).sum())
        first &= ~table.below
        self._unique = int(first.sum())
        self._unique_tokens = float(table.tokens[first].sum(dtype=np.float64))

    def _limits(self, similarity: float) -> npt.NDArray[np.float32]:
        assert self._thresholds is not None
        documents = self._near.documents
        limits = self._thresholds.limits(similarity)[self._table.thresholds[documents]]
        limits[self._table.below[documents]] = np.inf  # similar to nothing: they are gone
        return limits

    def _select(self, similarity: float) -> Selection:
        return select(self._near, self._order, self._limits(similarity))

    def left(self, similarity: float) -> tuple[int, int]:
        """Return the documents and the tokens that stay at a threshold."""
        dropped = self._select(similarity).kept_for != NOBODY
        tokens = self._table.tokens[self._near.documents[dropped]].sum(dtype=np.float64)
        return self._unique - int(dropped.sum()), round(self._unique_tokens - float(tokens))

    def within_budget(self, tokens: float, lowest: float) -> float:
        """Return the threshold, not below `lowest`, that keeps about `tokens`."""
        assert self._thresholds is not None
        similarity = self._thresholds.near.similarity
        best = similarity, self.left(similarity)[1]
        while best[1] > tokens and round(similarity - _BUDGET_STEP, 6) >= lowest:
            similarity = round(similarity - _BUDGET_STEP, 6)
            left = self.left(similarity)[1]
            if abs(left - tokens) <= abs(best[1] - tokens):
                best = similarity, left
            if left <= tokens:
                break
        return best[0]

    def curve(self) -> list[tuple[float, int, int]]:
        """Return what would stay at each threshold, from 1 down to the least known similarity."""
        if self._thresholds is None:
            return []
        steps = [round(1 - _STEP * step, 2) for step in range(round(0.7 / _STEP) + 1)]
        return [(s, *self.left(s)) for s in steps if s >= self._thresholds.floor]

    def clusters(self, similarity: float | None, examples: int = 8) -> Clusters:
        """Return the outcome at a threshold; without one, only exact duplicates are dropped."""
        first = self._table.first
        kept = np.arange(len(first), dtype=np.uint32)
        roots, values = kept.copy(), np.zeros(len(first), np.float32)
        shown: list[Example] = []
        near = 0
        if similarity is not None:
            selection = self._select(similarity)
            documents = self._near.documents
            places = np.flatnonzero(selection.kept_for != NOBODY)
            near = len(places)
            dropped, stays = documents[places], documents[selection.kept_for[places]]
            kept[dropped], values[dropped] = stays, selection.similarities[places]
            roots[documents] = documents[components(self._near, self._limits(similarity))]
            shown = _spread(stays, dropped, selection.similarities[places], examples)
        decisions = _decisions(first, kept[first], roots[first], self._table.below)
        decisions["similarity"] = np.where(kept[first] == first, 1, values[first])
        return Clusters(
            decisions, self._exact, near, similarity, self.curve(), _sizes(decisions), shown
        )


def reason_of(decision: Any) -> str:
    """Return why a document is dropped: `quality`, `exact` or `near`."""
    if decision["below"]:
        return "quality"
    return "exact" if decision["exact"] else "near"


def _decisions(
    first: npt.NDArray[np.uint32],
    kept: npt.NDArray[np.uint32],
    roots: npt.NDArray[np.uint32],
    below: npt.NDArray[np.bool_],
) -> npt.NDArray[Any]:
    numbers = np.arange(len(first), dtype=np.uint32)
    decisions = np.empty(len(first), DECISION)
    decisions["keep"] = (kept == numbers) & ~below
    decisions["below"] = below
    decisions["exact"] = (first != numbers) & ~below
    decisions["cluster"] = roots
    decisions["copies"] = np.bincount(roots, minlength=len(first))[roots]
    decisions["kept"] = kept
    return decisions


def _sizes(decisions: npt.NDArray[Any]) -> list[int]:
    heads = decisions["cluster"] == np.arange(len(decisions), dtype=np.uint32)
    sizes = decisions["copies"][heads]
    classes = np.ceil(np.log2(sizes[sizes > 1])).astype(np.int64) - 1
    return [int(count) for count in np.bincount(classes)]


def _spread(
    kept: npt.NDArray[np.uint32],
    dropped: npt.NDArray[np.uint32],
    values: npt.NDArray[np.float32],
    count: int,
) -> list[Example]:
    """Return up to `count` pairs of different kept documents, the most similar first."""
    _, first = np.unique(kept, return_index=True)
    first = first[np.lexsort((kept[first], -values[first]))]
    chosen = first[:: max(1, len(first) // count)][:count].tolist()
    return [(int(kept[i]), int(dropped[i]), float(values[i])) for i in chosen]
