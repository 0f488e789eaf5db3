import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.v1alpha1.pipeline.deduplication import NearDeduplication
from pretrain_workloads.data.dedup.clusters import Clusters, Deduplicator
from pretrain_workloads.data.dedup.exact import first_copies
from pretrain_workloads.data.dedup.pairs import EDGE
from pretrain_workloads.data.dedup.table import DocumentTable
from pretrain_workloads.data.dedup.thresholds import Thresholds

Pair = tuple[int, int, float]
NEAR = NearDeduplication(similarity=0.8, per_domain={"law": 0.9})


def edges(pairs: list[Pair]) -> Any:
    packed = {(min(a, b) << 32) | max(a, b): s for a, b, s in pairs}
    return np.array(sorted(packed.items()), EDGE)


def deduplicator(size: int, pairs: list[Pair], **changes: Any) -> Deduplicator:
    domains = np.array(changes.get("domains") or ["web"] * size, dtype=object)
    thresholds = Thresholds(NEAR, 0.5)
    table = DocumentTable(
        np.array(changes.get("first") or range(size), np.uint32),
        np.array(changes.get("scores") or [0] * size, np.float32),
        np.array(changes.get("tokens") or [1] * size, np.float32),
        np.array(changes.get("below") or [False] * size, np.bool_),
        thresholds.codes(domains),
    )
    return Deduplicator(table, edges(pairs), thresholds)


def cluster(size: int, pairs: list[Pair], **changes: Any) -> Clusters:
    return deduplicator(size, pairs, **changes).clusters(0.8)


def kept(clusters: Clusters) -> list[int]:
    return np.flatnonzero(clusters.decisions["keep"]).tolist()


@pytest.mark.parametrize(
    ("what", "pairs", "changes", "want"),
    [
        ("the first of equals stays", [(0, 1, 0.9)], {}, [0, 2]),
        ("the highest score stays", [(0, 1, 0.9)], {"scores": [1, 5, 1]}, [1, 2]),
        ("a document of low quality keeps nobody out", [(0, 1, 0.9)], {"below": [1, 0, 0]}, [1, 2]),
        (
            "nor does it join others",
            [(0, 1, 0.9), (1, 2, 0.9)],
            {"below": [0, 1, 0], "scores": [1, 5, 1]},
            [0, 2],
        ),
        (
            "its copies go with it",
            [],
            {"first": [0, 0, 2], "below": [1, 1, 0]},
            [2],
        ),
        ("a pair below the threshold is none", [(0, 1, 0.7)], {}, [0, 1, 2]),
        (
            "a pair takes the higher threshold",
            [(0, 1, 0.85)],
            {"domains": ["web", "law", "web"]},
            [0, 1, 2],
        ),
        ("the ends of a chain both stay", [(0, 1, 0.9), (1, 2, 0.9)], {}, [0, 2]),
        ("a hub that stays drops all", [(0, 1, 0.9), (1, 2, 0.9)], {"scores": [1, 2, 1]}, [1]),
    ],
)
def test_a_document_is_dropped_for_one_that_stays(
    what: str, pairs: list[Pair], changes: dict[str, Any], want: list[int]
) -> None:
    assert kept(cluster(3, pairs, **changes)) == want, what


def test_every_duplicate_names_the_document_that_stays_and_their_similarity() -> None:
    clusters = cluster(
        5, [(0, 1, 0.9), (1, 3, 0.95)], first=[0, 1, 0, 3, 1], scores=[1, 9, 1, 1, 9]
    )
    decisions = clusters.decisions
    assert kept(clusters) == [1]
    assert decisions["kept"].tolist() == [1, 1, 1, 1, 1]
    assert decisions["similarity"].tolist() == pytest.approx([0.9, 1, 0.9, 0.95, 1])
    assert decisions["exact"].tolist() == [False, False, True, False, True]
    assert (clusters.exact, clusters.near) == (2, 2)
    assert decisions["cluster"].tolist() == [0] * 5
    assert decisions["copies"].tolist() == [5] * 5
    assert clusters.sizes == [0, 0, 1], "one cluster of 5 to 8"


def test_exact_duplicates_are_represented_by_the_first() -> None:
    low, high = np.array([7, 8, 7, 7, 8], np.uint64), np.array([1, 1, 1, 2, 1], np.uint64)
    assert first_copies(low, high).tolist() == [0, 1, 0, 3, 1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_the_first_copy_is_that_of_a_plain_search(hashes: list[tuple[int, int]]) -> None:
    low, high = (np.array([pair[side] for pair in hashes], np.uint64) for side in (0, 1))
    assert first_copies(low, high).tolist() == [hashes.index(pair) for pair in hashes]


pair_lists = st.lists(
    st.tuples(st.integers(0, 29), st.integers(0, 29), st.sampled_from([0.7, 0.8, 0.9, 1.0])),
    max_size=60,
).map(lambda pairs: [(min(a, b), max(a, b), s) for a, b, s in pairs if a != b])
score_lists = st.lists(st.integers(0, 5), min_size=30, max_size=30)


@given(pair_lists, score_lists, st.randoms())
def test_the_order_of_pairs_does_not_matter(
    pairs: list[Pair], scores: list[int], shuffler: random.Random
) -> None:
    similarity = {(a, b): s for a, b, s in pairs}
    unique = [(a, b, s) for (a, b), s in similarity.items()]
    shuffled = list(unique)
    shuffler.shuffle(shuffled)
    first, second = (cluster(30, some, scores=scores) for some in (unique, shuffled))
    assert (first.decisions == second.decisions).all()


@given(pair_lists, score_lists)
def test_nothing_is_dropped_but_for_a_better_similar_document_that_stays(
    pairs: list[Pair], scores: list[int]
) -> None:
    similarity = {(a, b): np.float32(s) for a, b, s in pairs}
    clusters = cluster(30, pairs, scores=scores)
    stays = set(kept(clusters))
    for number, row in enumerate(clusters.decisions):
        other = int(row["kept"])
        if number in stays:
            assert other == number
            continue
        assert other in stays
        pair = min(number, other), max(number, other)
        assert row["similarity"] == similarity[pair] >= np.float32(0.8)
        assert (scores[other], -other) > (scores[number], -number)
    for (a, b), value in similarity.items():
        assert value < np.float32(0.8) or not {a, b} <= stays, "no two that stay are similar"


def test_the_curve_counts_what_would_stay_below_the_threshold_too() -> None:
    pairs = [(0, 1, 0.95), (2, 3, 0.7), (4, 5, 0.55)]
    curve = {s: left for s, *left in cluster(6, pairs, tokens=[1, 2, 3, 4, 5, 6]).curve}
    assert curve[1.0] == [6, 21]
    assert curve[0.9] == [5, 19]
    assert curve[0.6] == [4, 15]
    assert curve[0.5] == [3, 9]


@pytest.mark.parametrize(
    ("budget", "want"), [(100, 0.8), (19, 0.8), (15, 0.7), (16, 0.7), (9, 0.55), (1, 0.5)]
)
def test_a_budget_lowers_the_threshold_until_about_so_many_tokens_stay(
    budget: int, want: float
) -> None:
    pairs = [(0, 1, 0.95), (2, 3, 0.7), (4, 5, 0.55)]
    chosen = deduplicator(6, pairs, tokens=[1, 2, 3, 4, 5, 6]).within_budget(budget, 0.5)
    assert chosen == pytest.approx(want)


def test_thresholds_of_domains_move_together() -> None:
    thresholds = Thresholds(NEAR, 0.5)
    assert thresholds.limits(0.8).tolist() == pytest.approx([0.8, 0.9])
    assert thresholds.limits(0.7).tolist() == pytest.approx([0.7, 0.8])
    assert thresholds.limits(1.0).tolist() == pytest.approx([1.0, 1.0])
