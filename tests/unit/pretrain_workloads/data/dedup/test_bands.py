import numpy as np
import pytest

from batches import points_of
from pretrain_api.v1alpha1.pipeline.deduplication import Deduplication
from pretrain_workloads.data.dedup.bands import band_keys, banding, choose_bands
from pretrain_workloads.data.dedup.minhash import PERMUTATIONS, signatures


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_bands_find_nearly_all_pairs_at_the_threshold(similarity: float) -> None:
    bands, rows = choose_bands(similarity)
    assert bands * rows <= PERMUTATIONS
    assert 1 - (1 - similarity**rows) ** bands >= 0.98 or rows == 1


def test_pairs_are_known_a_little_below_the_lowest_threshold() -> None:
    near = {"similarity": 0.8, "perDomain": {"news": 0.7}}
    assert banding(Deduplication.model_validate({"near": near})).floor == pytest.approx(0.6)


def test_a_budget_finds_the_pairs_that_it_may_choose_from() -> None:
    spec = {"near": {"similarity": 0.8}, "budget": {"tokens": 100}}
    chosen = banding(Deduplication.model_validate(spec))
    assert (chosen.bands, chosen.rows) == choose_bands(0.5)
    assert chosen.floor == pytest.approx(0.4)


def test_documents_without_units_have_no_keys() -> None:
    rows = signatures(*points_of(["…!?", "a text", ""]))
    keys = band_keys(rows, 18, 6)
    assert (keys[[0, 2]] == 0).all()
    assert keys[1].all()
    assert len(np.unique(keys[1])) == 18
