"""Samples: each sequence once an epoch, in an order that only the seed determines."""

from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.trainer.blocks.sampler import SamplePosition, Sampler, shuffled

BLOCKS = st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any)


@given(blocks=BLOCKS, seed=st.integers(0, 2**63))
def test_every_sequence_is_read_once_an_epoch(blocks: list[int], seed: int) -> None:
    sampler = Sampler(blocks, seed)
    everything = {(block, i) for block, size in enumerate(blocks) for i in range(size)}
    for epoch in (0, 1):
        first = epoch * sampler.total
        read = [sampler.sequence(first + n) for n in range(sampler.total)]
        assert {(one.block, one.index) for one in read} == everything
        assert len(read) == len(everything)
        assert [one.block for one in read] == sorted(one.block for one in read)


@given(blocks=BLOCKS, seed=st.integers(0, 2**32), start=st.integers(0, 200))
def test_a_resumed_sampler_reads_what_the_first_would_have(
    blocks: list[int], seed: int, start: int
) -> None:
    whole, resumed = Sampler(blocks, seed), Sampler(blocks, seed)
    tail = [whole.sequence(n) for n in range(start + 30)][start:]
    assert [resumed.sequence(start + n) for n in range(30)] == tail


def test_empty_blocks_are_skipped() -> None:
    assert Sampler([0, 2, 0, 1], 0).locate(2) == SamplePosition(epoch=0, block=3, offset=0)


def test_epochs_have_different_orders() -> None:
    sampler = Sampler([50], 7)
    first = [sampler.sequence(n).index for n in range(50)]
    second = [sampler.sequence(50 + n).index for n in range(50)]
    assert first != second
    assert first != sorted(first)


def test_the_order_of_a_seed_never_changes() -> None:
    """A new release of numpy must not change what a running run reads next."""
    assert shuffled(10, 1234, 0, 0).tolist() == [2, 1, 5, 8, 0, 9, 6, 4, 7, 3]


@given(size=st.integers(0, 500), seeds=st.lists(st.integers(0, 2**64 - 1), max_size=3))
def test_an_order_is_a_permutation(size: int, seeds: list[int]) -> None:
    assert sorted(shuffled(size, *seeds).tolist()) == list(range(size))
