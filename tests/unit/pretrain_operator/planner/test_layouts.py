"""The search: only legal layouts, the fastest that fits, and quickly."""

from collections.abc import Callable

import pytest

from pretrain_api.profiles import DEVICES
from pretrain_operator.planner.estimates.devices import speeds_of
from pretrain_operator.planner.estimates.memory import admitted_bytes
from pretrain_operator.planner.estimates.setup import Experts, Model, Work
from pretrain_operator.planner.layouts import Room, legal_layouts, search

H100 = DEVICES["h100"]
LLAMA_8B = Model(32, 4096, 14336, 32, 8, 128, 128_256)
LLAMA_405B = Model(126, 16384, 53248, 128, 8, 128, 128_256)
MOE = Model(16, 2048, 8192, 16, 4, 128, 32_000, experts=Experts(8, 2, 2048))
BIG = Work(1, 2048, 8192)


def room(world: int, memory: float | None = admitted_bytes(H100.memory)) -> Room:
    """Return nodes of eight H100."""
    return Room(world, 8, memory, speeds_of(H100))


@pytest.mark.parametrize(("model", "world"), [(LLAMA_8B, 64), (LLAMA_405B, 1024), (MOE, 32)])
def test_every_layout_uses_all_devices_and_divides_everything(model: Model, world: int) -> None:
    layouts = [layout for layout, _ in legal_layouts(model, BIG, room(world))]
    assert layouts
    assert len(set(layouts)) == len(layouts)
    for layout in layouts:
        assert layout.tensor * layout.pipeline * layout.context * layout.data == world
        assert sum(layout.stages) == model.layers
        assert model.heads % layout.tensor == 0
        assert BIG.global_batch % (BIG.micro_batch * layout.data) == 0
        assert BIG.sequence % (2 * layout.context) == 0 or layout.context == 1


def test_the_best_layout_fits_and_no_other_that_fits_is_faster() -> None:
    found = search(LLAMA_8B, Work(1, 512, 8192), room(64))
    assert found
    assert all(candidate.memory <= admitted_bytes(H100.memory) for candidate in found)
    assert found[0].seconds == min(candidate.seconds for candidate in found)


def test_nothing_fits_where_memory_is_too_small() -> None:
    assert search(LLAMA_405B, BIG, room(8)) == []


def test_without_speeds_the_simplest_layout_wins() -> None:
    [best, *_] = search(LLAMA_8B, Work(1, 64, 4096), Room(8, 8, None, None))
    assert (best.layout.tensor, best.layout.pipeline, best.layout.context) == (1, 1, 1)


def test_405b_needs_its_ends_counted_on_16384_devices() -> None:
    found = search(LLAMA_405B, BIG, room(16_384))
    assert found[0].counted
    assert sum(found[0].layout.stages) == 126


def test_a_full_search_for_405b_on_16384_devices_compares_hundreds_of_layouts() -> None:
    # How long it takes is measured by benchmarks/planner_search.py, not by a test.
    assert sum(1 for _ in legal_layouts(LLAMA_405B, BIG, room(16_384))) > 500


def test_experts_with_tensor_parallelism_always_split_the_sequence() -> None:
    wants: Callable[..., bool] = lambda layout: layout.tensor == 1 or layout.sequence  # noqa: E731
    layouts = [layout for layout, _ in legal_layouts(MOE, BIG, room(32))]
    assert any(layout.tensor > 1 for layout in layouts)
    assert all(wants(layout) for layout in layouts)
