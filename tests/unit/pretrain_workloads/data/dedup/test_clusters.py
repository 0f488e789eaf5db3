import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.v1alpha1.pipeline.deduplication import NearDeduplication
from pretrain_workloads.data.dedup.clusters import cluster, exact_representatives, thresholds
from pretrain_workloads.data.dedup.edges import EDGE

Pair = tuple[int, int, float]


def edges(*pairs: Pair) -> np.ndarray:
    return np.array(list(pairs), EDGE)


def kept(
    size: int, pairs: list[Pair], limits: list[float] | None = None, scores: list[int] | None = None
) -> list[int]:
    clusters = cluster(
        np.arange(size),
        edges(*pairs),
        np.array(limits or [0.8] * size, np.float32),
        np.array(scores or [0] * size),
    )
    return np.flatnonzero(clusters.decisions["keep"]).tolist()


def test_exact_duplicates_are_represented_by_the_first() -> None:
    hashes = np.array([b"a", b"b", b"a", b"c", b"b"])
    assert exact_representatives(hashes).tolist() == [0, 1, 0, 3, 1]


@pytest.mark.parametrize(
    ("what", "pairs", "limits", "scores", "want"),
    [
        ("the first of equals stays", [(0, 1, 0.9)], None, None, [0, 2]),
        ("the highest score stays", [(0, 1, 0.9)], None, [1, 5, 1], [1, 2]),
        ("a pair below the threshold is none", [(0, 1, 0.7)], None, None, [0, 1, 2]),
        ("a pair takes the higher threshold", [(0, 1, 0.85)], [0.8, 0.9, 0.8], None, [0, 1, 2]),
        (
            "duplicates of duplicates are one",
            [(0, 1, 0.9), (1, 2, 0.9)],
            None,
            [1, 2, 3],
            [2],
        ),
    ],
)
def test_of_a_cluster_one_stays(
    what: str,
    pairs: list[Pair],
    limits: list[float] | None,
    scores: list[int] | None,
    want: list[int],
) -> None:
    assert kept(3, pairs, limits, scores) == want, what


def test_pairs_of_exact_duplicates_join_the_documents_they_equal() -> None:
    representatives = np.array([0, 1, 0, 3])
    limits, scores = np.full(4, 0.8, np.float32), np.array([1, 9, 9, 1])
    clusters = cluster(representatives, edges((1, 2, 0.9)), limits, scores)
    assert np.flatnonzero(clusters.decisions["keep"]).tolist() == [1, 3]
    assert (clusters.exact, clusters.near) == (1, 1)
    assert clusters.decisions["cluster"].tolist() == [0, 0, 0, 3]
    assert clusters.decisions["copies"].tolist() == [3, 3, 3, 1]


pair_lists = st.lists(
    st.tuples(st.integers(0, 29), st.integers(0, 29), st.sampled_from([0.7, 0.8, 0.9, 1.0])),
    max_size=60,
).map(lambda pairs: [(min(a, b), max(a, b), s) for a, b, s in pairs if a != b])


@given(pair_lists, st.lists(st.integers(0, 5), min_size=30, max_size=30), st.randoms())
def test_the_order_of_pairs_does_not_matter(
    pairs: list[Pair], scores: list[int], shuffler: random.Random
) -> None:
    shuffled = pairs + pairs[: len(pairs) // 2]
    shuffler.shuffle(shuffled)
    assert kept(30, pairs, scores=scores) == kept(30, shuffled, scores=scores)


@given(pair_lists)
def test_every_cluster_keeps_exactly_one(pairs: list[Pair]) -> None:
    limits = np.full(30, 0.8, np.float32)
    clusters = cluster(np.arange(30), edges(*pairs), limits, np.zeros(30, np.int64))
    decisions = clusters.decisions
    assert sorted(decisions["cluster"][decisions["keep"]]) == sorted(set(decisions["cluster"]))
    assert int(decisions["keep"].sum()) + clusters.near + clusters.exact == 30


def test_domains_have_their_own_threshold() -> None:
    near = NearDeduplication(similarity=0.8, per_domain={"law": 0.9})
    limits = thresholds(near, ["web", "law", "web"])
    assert limits.tolist() == pytest.approx([0.8, 0.9, 0.8])
