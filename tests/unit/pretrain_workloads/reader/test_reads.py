"""How often each sequence was read, beside a run that reads them one after another."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_workloads.reader.reads import count_reads, data_ranges, labels_before
from pretrain_workloads.trainer.blocks.sampler import Sampler
from pretrain_workloads.trainer.blocks.skipped import SkippedSamples

BLOCKS = st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(any)
RANGES = st.lists(
    st.builds(
        lambda first, size: range(first, first + size), st.integers(0, 90), st.integers(0, 20)
    ),
    max_size=4,
)


@settings(max_examples=300)
@given(blocks=BLOCKS, seed=st.integers(0, 5), samples=st.integers(0, 120), ranges=RANGES)
def test_the_counts_are_those_of_a_run_that_reads_every_sample(
    blocks: list[int], seed: int, samples: int, ranges: list[range]
) -> None:
    skipped, sampler = SkippedSamples.of(ranges), Sampler(blocks, seed)
    firsts = np.cumsum([0, *blocks])
    want = np.zeros(sum(blocks), np.int64)
    for number in range(samples):
        place = sampler.sequence(skipped.data_sample(number))
        want[firsts[place.block] + place.index] += 1
    assert count_reads(blocks, seed, samples, skipped).tolist() == want.tolist()
    assert sum(map(len, data_ranges(samples, skipped))) == samples


@given(
    counts=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    length=st.integers(1, 5),
    position=st.integers(0, 40),
)
def test_labels_are_counted_at_the_tokens_after_those_of_their_sequence(
    counts: list[int], length: int, position: int
) -> None:
    reads = np.zeros(len(counts) * length + 1, np.int64)
    for index, count in enumerate(counts):
        reads[index * length + 1 : (index + 1) * length + 1] += count
    before = labels_before(np.array(counts), length, np.array([position]))
    assert before.tolist() == [reads[:position].sum()]
