"""Which sequence of which block is the n-th sample of a run.

The answer depends on the seed and on `n` alone, not on the number of ranks, so a run that continues
on other nodes reads the same samples in the same order. Blocks are read one after another, the
sequences of a block in a shuffled order; the next epoch starts at the first block again, in another
order.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class SamplePosition:
    """Where a sample is in the dataset, before its block is shuffled."""

    epoch: int
    """Number of complete passes over all blocks before it."""
    block: int
    """Index of the block."""
    offset: int
    """Number of samples of the block that are read before it."""


@dataclass(frozen=True)
class BlockSequence:
    """A sequence of a block."""

    block: int
    """Index of the block."""
    index: int
    """Index of the sequence in its block."""


class Sampler:
    """Maps sample numbers to sequences."""

    def __init__(self, sequences: list[int], seed: int) -> None:
        """Sample from blocks that hold `sequences` each; at least one must not be empty."""
        self._ends = list(accumulate(sequences))
        self._sequences = sequences
        self._seed = seed
        self._order: tuple[int, int, NDArray[np.int64]] | None = None

    @property
    def total(self) -> int:
        """Return the number of sequences of all blocks."""
        return self._ends[-1]

    def locate(self, sample: int) -> SamplePosition:
        """Return the position of a sample, counted from 0 at the start of the run."""
        epoch, rest = divmod(sample, self.total)
        block = bisect_right(self._ends, rest)
        return SamplePosition(epoch, block, rest - (self._ends[block] - self._sequences[block]))

    def sequence(self, sample: int) -> BlockSequence:
        """Return the sequence of a sample, counted from 0 at the start of the run."""
        position = self.locate(sample)
        if self._order is None or self._order[:2] != (position.epoch, position.block):
            order = shuffled(
                self._sequences[position.block], self._seed, position.epoch, position.block
            )
            self._order = (position.epoch, position.block, order)
        return BlockSequence(position.block, int(self._order[2][position.offset]))


def shuffled(size: int, *seeds: int) -> NDArray[np.int64]:
    """Return the numbers below `size` in an order that depends on `seeds` only.

    The numbers are sorted by a hash, so that the order is the same with every release of numpy.
    """
    state = np.zeros(1, dtype=np.uint64)
    for seed in seeds:
        state = _mix(state ^ np.uint64(seed % 2**64))
    keys = _mix(state + np.arange(1, size + 1, dtype=np.uint64) * _GOLDEN)
    return np.argsort(keys, kind="stable").astype(np.int64)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a hash of each value: the finalizer of SplitMix64 (Steele et al. 2014)."""
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))
