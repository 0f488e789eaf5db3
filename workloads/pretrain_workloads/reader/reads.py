"""How often a run has read each sequence of its token blocks."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pretrain_workloads.trainer.blocks.sampler import shuffled
from pretrain_workloads.trainer.blocks.skipped import SkippedSamples

type Counts = NDArray[np.int64]


def data_ranges(samples: int, skipped: SkippedSamples) -> Iterator[range]:
    """Yield the ranges of samples of the data that the first `samples` of a run are, in order."""
    left, start = samples, 0
    for gone in (*skipped.ranges, None):
        size = left if gone is None else min(left, gone.start - start)
        if size > 0:
            yield range(start, start + size)
        left -= max(0, size)
        if gone is None or not left:
            return
        start = gone.stop


def count_reads(sequences: list[int], seed: int, samples: int, skipped: SkippedSamples) -> Counts:
    """Return how often each sequence was read, block after block.

    Args:
        sequences: Sequences of each block.
        seed: Seed of the run.
        samples: Samples that the run has read.
        skipped: Samples that it left out.
    """
    ends = np.cumsum(sequences)
    total = int(ends[-1])
    counts = np.zeros(total, np.int64)
    for part in data_ranges(samples, skipped):
        whole = range(-(-part.start // total), part.stop // total)
        if len(whole):
            counts += len(whole)
            _count(counts, ends, seed, range(part.start, whole.start * total))
            _count(counts, ends, seed, range(whole.stop * total, part.stop))
        else:
            _count(counts, ends, seed, part)
    return counts


def _count(counts: Counts, ends: NDArray[np.int64], seed: int, part: range) -> None:
    """Count the samples of `part`, which covers less than two epochs."""
    total, position = int(ends[-1]), part.start
    while position < part.stop:
        epoch, rest = divmod(position, total)
        block = int(np.searchsorted(ends, rest, side="right"))
        first = int(ends[block - 1]) if block else 0
        size = int(ends[block]) - first
        until = min(part.stop, position - rest + int(ends[block]))
        order = shuffled(size, seed, epoch, block)
        np.add.at(counts, first + order[rest - first : rest - first + until - position], 1)
        position = until


def labels_before(counts: Counts, length: int, positions: NDArray[np.int64]) -> Counts:
    """Return how many labels were read at stream positions below each of `positions`.

    The labels of sequence `i` are the tokens from `i * length + 1` on: the first token of the
    stream is no label.
    """
    sums = np.concatenate(([0], np.cumsum(counts)))
    inner = np.clip(positions - 1, 0, len(counts) * length)
    index, rest = np.divmod(inner, length)
    padded = np.append(counts, 0)
    return np.asarray(sums[index] * length + padded[index] * rest, np.int64)
