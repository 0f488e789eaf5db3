import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.data.dedup.bands import candidate_pairs, choose_bands
from pretrain_workloads.data.dedup.clusters import cluster
from pretrain_workloads.data.dedup.edges import EDGE
from pretrain_workloads.data.dedup.minhash import PERMUTATIONS


@given(st.lists(st.integers(0, 6), max_size=40))
def test_candidates_connect_all_documents_with_one_key(keys: list[int]) -> None:
    valid = np.array([key != 0 for key in keys], np.bool_)
    pairs = candidate_pairs(np.array(keys, np.uint64), valid)
    assert all(keys[a] == keys[b] != 0 and a < b for a, b in pairs)
    clusters = cluster(
        np.arange(len(keys)),
        np.array([(a, b, 1.0) for a, b in pairs.tolist()], EDGE),
        np.full(len(keys), 0.5, np.float32),
        np.zeros(len(keys), np.int64),
    )
    assert len(set(clusters.decisions["cluster"])) == len({k for k in keys if k}) + keys.count(0)


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_bands_find_nearly_all_pairs_at_the_threshold(similarity: float) -> None:
    bands, rows = choose_bands(similarity)
    assert bands * rows <= PERMUTATIONS
    assert 1 - (1 - similarity**rows) ** bands >= 0.98 or rows == 1
