import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.v1alpha1.datapipeline import NearDeduplication
from pretrain_workloads.data.dedup.clusters import cluster, exact_representatives, thresholds
from pretrain_workloads.data.dedup.minhash import signatures
from pretrain_workloads.data.match import EDGE, SignatureFiles, candidate_pairs, find_edges

Pair = tuple[int, int, float]


def edges(*pairs: Pair) -> np.ndarray:
    return np.array(list(pairs), EDGE)


def kept(
    size: int, pairs: list[Pair], limits: list[float] | None = None, worth: list[int] | None = None
) -> list[int]:
    found = cluster(
        np.arange(size),
        edges(*pairs),
        np.array(limits or [0.8] * size, np.float32),
        np.array(worth or [0] * size),
    )
    return np.flatnonzero(found.decisions["keep"]).tolist()


def test_exact_copies_are_represented_by_the_first() -> None:
    hashes = np.array([b"a", b"b", b"a", b"c", b"b"])
    assert exact_representatives(hashes).tolist() == [0, 1, 0, 3, 1]


@pytest.mark.parametrize(
    ("what", "pairs", "limits", "worth", "want"),
    [
        ("the first of equals stays", [(0, 1, 0.9)], None, None, [0, 2]),
        ("the most worth stays", [(0, 1, 0.9)], None, [1, 5, 1], [1, 2]),
        ("a pair below the limit is none", [(0, 1, 0.7)], None, None, [0, 1, 2]),
        ("a pair takes the higher limit", [(0, 1, 0.85)], [0.8, 0.9, 0.8], None, [0, 1, 2]),
        ("copies of copies are one cluster", [(0, 1, 0.9), (1, 2, 0.9)], None, [1, 2, 3], [2]),
    ],
)
def test_of_a_cluster_one_stays(
    what: str,
    pairs: list[Pair],
    limits: list[float] | None,
    worth: list[int] | None,
    want: list[int],
) -> None:
    assert kept(3, pairs, limits, worth) == want, what


def test_pairs_of_exact_copies_join_the_documents_they_equal() -> None:
    representatives = np.array([0, 1, 0, 3])
    limits, worth = np.full(4, 0.8, np.float32), np.array([1, 9, 9, 1])
    found = cluster(representatives, edges((1, 2, 0.9)), limits, worth)
    assert np.flatnonzero(found.decisions["keep"]).tolist() == [1, 3]
    assert (found.exact, found.near) == (1, 1)
    assert found.decisions["cluster"].tolist() == [0, 0, 0, 3]
    assert found.decisions["copies"].tolist() == [3, 3, 3, 1]


pair_lists = st.lists(
    st.tuples(st.integers(0, 29), st.integers(0, 29), st.sampled_from([0.7, 0.8, 0.9, 1.0])),
    max_size=60,
).map(lambda pairs: [(min(a, b), max(a, b), s) for a, b, s in pairs if a != b])


@given(pair_lists, st.lists(st.integers(0, 5), min_size=30, max_size=30), st.randoms())
def test_the_order_of_pairs_does_not_matter(
    pairs: list[Pair], worth: list[int], shuffler: random.Random
) -> None:
    shuffled = pairs + pairs[: len(pairs) // 2]
    shuffler.shuffle(shuffled)
    assert kept(30, pairs, worth=worth) == kept(30, shuffled, worth=worth)


@given(pair_lists)
def test_every_cluster_keeps_exactly_one(pairs: list[Pair]) -> None:
    limits = np.full(30, 0.8, np.float32)
    found = cluster(np.arange(30), edges(*pairs), limits, np.zeros(30, np.int64))
    decisions = found.decisions
    assert sorted(decisions["cluster"][decisions["keep"]]) == sorted(set(decisions["cluster"]))
    assert int(decisions["keep"].sum()) + found.near + found.exact == 30


def test_domains_have_their_own_threshold() -> None:
    near = NearDeduplication(similarity=0.8, per_domain={"law": 0.9})
    found = thresholds(near, ["web", "law", "web"])
    assert found.tolist() == pytest.approx([0.8, 0.9, 0.8])


@given(st.lists(st.integers(0, 6), max_size=40))
def test_candidates_connect_all_documents_with_one_key(keys: list[int]) -> None:
    valid = np.array([key != 0 for key in keys], np.bool_)
    pairs = candidate_pairs(np.array(keys, np.uint64), valid)
    assert all(keys[a] == keys[b] != 0 and a < b for a, b in pairs)
    found = cluster(
        np.arange(len(keys)),
        edges(*[(a, b, 1.0) for a, b in pairs.tolist()]),
        np.full(len(keys), 0.5, np.float32),
        np.zeros(len(keys), np.int64),
    )
    assert len(set(found.decisions["cluster"])) == len({k for k in keys if k}) + keys.count(0)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(0, 2**32))
def test_the_number_of_tasks_does_not_change_the_pairs(tasks: int, seed: int) -> None:
    rng = random.Random(seed)
    base = [[f"{rng.choice('abcdefgh')}{rng.choice('xyz')}" for _ in range(60)] for _ in range(6)]
    documents = []
    for words in base:
        for _ in range(3):
            changed = list(words)
            for _ in range(rng.randint(0, 3)):
                changed[rng.randrange(60)] = "new"
            documents.append(" ".join(changed))
    all_rows = signatures(documents)
    near = NearDeduplication(similarity=0.6)
    whole, _ = find_edges(SignatureFiles([all_rows]), near, 0, 1)
    cut = SignatureFiles(np.array_split(all_rows, tasks))
    parts = [find_edges(cut, near, rank, tasks)[0] for rank in range(tasks)]
    assert (np.unique(np.concatenate(parts)) == np.unique(whole)).all()
    assert len(whole)
