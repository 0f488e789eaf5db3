from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.v1alpha1.tokendataset import Curriculum
from pretrain_workloads.dataset.holding_out import hold_out
from pretrain_workloads.dataset.mixture import Part, budgets, mix, places_of, plan_uses

documents = st.lists(st.integers(2, 50), min_size=1, max_size=40)
weights = st.floats(0.01, 100)


@given(st.lists(weights, min_size=1, max_size=8), st.integers(0, 10**9))
def test_budgets_are_exact_to_the_token(shares: list[float], total: int) -> None:
    parts = budgets(shares, total)
    assert sum(parts) == total
    for share, budget in zip(shares, parts, strict=True):
        assert abs(budget - share / sum(shares) * total) <= 1


def mixture(sizes: list[list[int]], shares: list[float]) -> tuple[list[Part], np.ndarray]:
    starts = np.cumsum([0, *(len(part) for part in sizes)])
    parts = [
        Part(np.arange(start, end), share)
        for (start, end), share in zip(pairwise(starts.tolist()), shares, strict=True)
    ]
    return parts, np.array([size for part in sizes for size in part])


def names(count: int) -> np.ndarray:
    return mix(np.arange(count, dtype=np.uint64), 99)


@settings(deadline=None)
@given(
    st.lists(st.tuples(documents, weights), min_size=1, max_size=4),
    st.integers(1, 3000),
    st.integers(0, 2**31),
)
def test_the_stream_has_the_shares_and_loses_nothing(
    described: list[tuple[list[int], float]], total: int, seed: int
) -> None:
    parts, lengths = mixture([sizes for sizes, _ in described], [share for _, share in described])
    uses = plan_uses(parts, lengths, names(len(lengths)), total, seed)
    assert int(uses["tokens"].sum()) == total
    given_tokens = np.bincount(uses["part"], uses["tokens"], len(parts)).astype(int)
    assert given_tokens.tolist() == budgets([part.weight for part in parts], total)
    for number, part in enumerate(parts):
        of_part = uses[uses["part"] == number]
        counts = np.bincount(of_part["document"], minlength=len(lengths))[part.documents]
        if len(of_part):
            assert counts.max() - counts.min() <= 1  # all are used before one is used again
            assert (np.diff(of_part["epoch"]) >= 0).all()
            whole = of_part["tokens"] == lengths[of_part["document"]]
            assert whole[:-1].all()  # only the last may be cut


def test_every_stretch_of_the_stream_has_the_mixture() -> None:
    parts, lengths = mixture([[20] * 300, [30] * 100, [10] * 50], [5, 3, 2])
    uses = plan_uses(parts, lengths, names(450), 20_000, seed=1)
    ends = np.cumsum(uses["tokens"])
    for start in range(0, 20_000, 2_000):
        here = uses[(ends > start) & (ends <= start + 2_000)]
        share = np.bincount(here["part"], here["tokens"], 3) / here["tokens"].sum()
        assert share == pytest.approx([0.5, 0.3, 0.2], abs=0.04)


@settings(deadline=None)
@given(
    st.lists(st.tuples(documents, weights), min_size=1, max_size=4),
    st.integers(1, 3000),
    st.floats(0.05, 0.95),
)
def test_parts_that_repeat_give_way_to_those_with_new_text(
    described: list[tuple[list[int], float]], total: int, weight_per_use: float
) -> None:
    parts, lengths = mixture([sizes for sizes, _ in described], [share for _, share in described])
    plain = plan_uses(parts, lengths, names(len(lengths)), total, 1)
    slowed = plan_uses(parts, lengths, names(len(lengths)), total, 1, weight_per_use)
    assert int(slowed["tokens"].sum()) == total
    epochs = [
        np.bincount(uses["part"], uses["tokens"], len(parts))
        / [lengths[part.documents].sum() for part in parts]
        for uses in (plain, slowed)
    ]
    slack = 2.0 / min(int(lengths[part.documents].sum()) for part in parts)
    assert epochs[1].max() <= epochs[0].max() + slack
    if epochs[0].max() <= 1.0:
        assert sorted(slowed.tolist()) == sorted(plain.tolist()), "nothing repeats"


def test_the_share_of_a_part_halves_with_each_of_its_passes() -> None:
    parts, lengths = mixture([[10] * 100, [10] * 10_000], [1, 1])
    uses = plan_uses(parts, lengths, names(10_100), 16_000, 1, weight_per_use=0.5)
    small, ends = uses["part"] == 0, np.cumsum(uses["tokens"])
    # Passes of 1,000 tokens at shares of 1/2, 1/3, 1/5 and 1/9 end after 2, 5, 10 and 19 thousand.
    for start, stop, share in ((0, 2000, 1 / 2), (2000, 5000, 1 / 3), (5000, 10_000, 1 / 5)):
        here = (ends > start) & (ends <= stop)
        assert small[here].mean() == pytest.approx(share, abs=0.02)
    counts = np.bincount(uses["document"][small], minlength=100)
    assert [int(counts.min()), int(counts.max())] == [3, 4]


@pytest.mark.parametrize("randomness", [0.0, 0.2])
def test_a_curriculum_puts_small_places_first_in_every_pass(randomness: float) -> None:
    places = np.random.default_rng(1).random(200)
    part = Part(np.arange(200), 1.0, places, randomness)
    uses = plan_uses([part], np.full(200, 10), names(200), 4000, seed=1)
    for epoch in (0, 1):
        order = uses["document"][uses["epoch"] == epoch]
        assert sorted(order.tolist()) == list(range(200))
        moved = np.argsort(np.argsort(places[order])) - np.arange(200)
        assert np.abs(moved).max() <= 200 * 2 * randomness
        assert randomness == 0.0 or np.abs(moved).max() > 0


def test_without_order_a_curriculum_is_random() -> None:
    lengths, places = np.full(50, 10), np.linspace(0.0, 1.0, 50)
    free = plan_uses([Part(np.arange(50), 1.0)], lengths, names(50), 500, seed=1)
    loose = plan_uses([Part(np.arange(50), 1.0, places, 1.0)], lengths, names(50), 500, seed=1)
    assert loose["document"].tolist() == free["document"].tolist()


def test_each_epoch_and_seed_has_its_own_order() -> None:
    parts, lengths = mixture([[10] * 40], [1])
    uses = plan_uses(parts, lengths, names(40), 800, seed=1)
    first, second = (uses["document"][uses["epoch"] == epoch].tolist() for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second
    other = plan_uses(parts, lengths, names(40), 800, seed=2)
    assert other["document"].tolist() != uses["document"].tolist()


def test_the_order_is_that_of_ids_not_of_files() -> None:
    parts, lengths = mixture([[10] * 40], [1])
    order = np.random.default_rng(0).permutation(40)
    hashes = names(40)
    straight = plan_uses(parts, lengths, hashes, 400, seed=1)["document"]
    shuffled = plan_uses(parts, lengths, hashes[order], 400, seed=1)["document"]
    assert hashes[straight].tolist() == hashes[order][shuffled].tolist()


def held(count: int, fraction: float, min_tokens: int = 1) -> list[int]:
    lengths = np.full(count, 10)
    documents = hold_out(np.arange(count), lengths, names(count), fraction, min_tokens)
    return [int(number) for number in documents]


def test_about_the_fraction_is_held_out() -> None:
    assert len(held(10_000, 0.02)) == pytest.approx(200, rel=0.3)
    assert held(100, 0.0) == []


def test_a_document_stays_held_out_when_others_come() -> None:
    few, many = set(held(5_000, 0.02)), set(held(10_000, 0.02))
    assert few <= many


def test_enough_for_one_sequence_is_held_out_but_never_more_than_half() -> None:
    assert len(held(100, 0.0001, min_tokens=45)) == 5
    assert len(held(10, 0.0001, min_tokens=1_000)) == 5


def test_the_mixing_of_hashes_never_changes() -> None:
    mixed = mix(np.array([0, 1, 2**63], np.uint64), 7).tolist()
    assert mixed == [4659817285964113758, 16920444926201547018, 6591543692610946555]


DOCUMENTS = pa.table(
    {
        "tokens": pa.array([30, 10, 20, 10, 99]),
        "quality": pa.array([0.1, 0.9, 0.5, None, 0.3], pa.float32()),
    }
)


@pytest.mark.parametrize(
    ("fields", "of_part", "want"),
    [
        ({"by": "length"}, [0, 1, 2, 3], [1.0, 0.0, 0.5, 0.0]),
        ({"by": "length", "order": "descending"}, [0, 1, 2], [0.0, 1.0, 0.5]),
        ({"by": "quality"}, [0, 1, 2], [0.0, 1.0, 0.5]),
        ({"by": "quality"}, [4], [0.0]),
        ({"by": "quality"}, [2, 3], None),
        ({"by": "length"}, [], []),
    ],
)
def test_places_follow_the_values(
    fields: dict[str, Any], of_part: list[int], want: list[float] | None
) -> None:
    curriculum = Curriculum.model_validate(fields)
    places = places_of(curriculum, DOCUMENTS, np.array(of_part, np.int64))
    assert (None if places is None else places.tolist()) == want
