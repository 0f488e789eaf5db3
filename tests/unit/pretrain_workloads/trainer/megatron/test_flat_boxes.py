"""Boxes hold exactly the elements of a flat range, each of them as one run."""

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.trainer.megatron.flat_boxes import boxes


@st.composite
def ranges(draw: st.DrawFn) -> tuple[tuple[int, ...], int, int]:
    """Draw a shape and a range of its elements."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    start = draw(st.integers(0, math.prod(shape)))
    return shape, start, draw(st.integers(start, math.prod(shape)))


@given(ranges())
def test_boxes_hold_every_element_of_the_range_once_and_in_order(
    given_range: tuple[tuple[int, ...], int, int],
) -> None:
    shape, start, stop = given_range
    numbers: Any = np.arange(math.prod(shape)).reshape(shape)
    parts = list(boxes(shape, start, stop))
    held: list[int] = []
    for box in parts:
        index = tuple(slice(at, at + size) for at, size in zip(box.offset, box.shape, strict=True))
        inside = numbers[index].ravel().tolist()
        assert inside == list(range(box.start, box.stop))
        held += inside
    assert held == list(range(start, stop))
    assert len(parts) <= 2 * len(shape) - 1


def test_a_range_of_whole_rows_is_one_box() -> None:
    (box,) = boxes((4, 3), 3, 9)
    assert (box.offset, box.shape) == ((1, 0), (2, 3))
