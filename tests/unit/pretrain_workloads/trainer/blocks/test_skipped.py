"""Samples that are left out, beside a list from which they are deleted."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.trainer.blocks.skipped import SkippedSamples

RANGES = st.lists(
    st.builds(
        lambda first, size: range(first, first + size), st.integers(0, 60), st.integers(0, 9)
    ),
    max_size=6,
)


@given(ranges=RANGES)
def test_the_samples_are_those_of_the_data_without_the_skipped_ones(ranges: list[range]) -> None:
    gone = {sample for one in ranges for sample in one}
    left = [sample for sample in range(200) if sample not in gone]
    skipped = SkippedSamples.of(ranges)
    assert [skipped.data_sample(number) for number in range(len(left))] == left


@given(ranges=RANGES)
def test_the_ranges_are_apart_and_in_order(ranges: list[range]) -> None:
    united = SkippedSamples.of(ranges).ranges
    assert all(united)
    assert all(one.stop < after.start for one, after in pairwise(united))
