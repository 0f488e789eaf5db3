"""Cuts a range of a flattened tensor into boxes of the tensor itself."""

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A part of a tensor that is also one range of its flattened elements."""

    offset: tuple[int, ...]
    """Index of its first element."""
    shape: tuple[int, ...]
    start: int
    """Number of its first element among the flattened ones."""

    @property
    def stop(self) -> int:
        """Return the number behind its last element."""
        return self.start + math.prod(self.shape)


def boxes(shape: tuple[int, ...], start: int, stop: int) -> Iterator[Box]:
    """Yield boxes that together hold the elements `start` to `stop` of a flattened tensor.

    They are at most 2 · n - 1 for n axes: a part of a row, whole rows, and a part of another row.
    """
    if start >= stop:
        return
    if len(shape) == 1:
        yield Box((start,), (stop - start,), start)
        return
    row = math.prod(shape[1:])
    body_start = min(stop, -(-start // row) * row)
    body_stop = max(body_start, stop // row * row)
    yield from _in_row(shape, start, body_start)
    if body_start < body_stop:
        first, last = body_start // row, body_stop // row
        yield Box((first, *[0] * (len(shape) - 1)), (last - first, *shape[1:]), body_start)
    yield from _in_row(shape, body_stop, stop)


def _in_row(shape: tuple[int, ...], start: int, stop: int) -> Iterator[Box]:
    row = math.prod(shape[1:])
    number = start // row
    for box in boxes(shape[1:], start - number * row, stop - number * row):
        yield Box((number, *box.offset), (1, *box.shape), box.start + number * row)
