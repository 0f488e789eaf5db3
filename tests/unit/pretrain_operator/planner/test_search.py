"""The search: only legal layouts, the fastest that fits, and quickly."""

from collections.abc import Callable

import pytest

from pretrain_api.formulas.model_shapes import ExpertsShape, ModelShape
from pretrain_api.profiles import DEVICES
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.memory import admitted_bytes
from pretrain_operator.planner.estimates.speeds import speeds_of
from pretrain_operator.planner.estimates.step_shape import StepShape
from pretrain_operator.planner.legal_layouts import legal_layouts
from pretrain_operator.planner.search import search

H100 = DEVICES["h100"]
LLAMA_8B = ModelShape(32, 4096, 14336, 32, 8, 128, 128_256)
LLAMA_405B = ModelShape(126, 16384, 53248, 128, 8, 128, 128_256)
MOE = ModelShape(16, 2048, 8192, 16, 4, 128, 32_000, experts=ExpertsShape(8, 2, 2048))
BIG = StepShape(1, 2048, 8192)


def budget(world_size: int, memory: float | None = admitted_bytes(H100.memory)) -> DeviceBudget:
    """Return nodes of eight H100."""
    return DeviceBudget(
        world_size=world_size, devices_per_node=8, memory_bytes=memory, speeds=speeds_of(H100)
    )


@pytest.mark.parametrize(("model", "world_size"), [(LLAMA_8B, 64), (LLAMA_405B, 1024), (MOE, 32)])
def test_every_layout_uses_all_devices_and_divides_everything(
    model: ModelShape, world_size: int
) -> None:
    layouts = [layout for layout, _ in legal_layouts(model, BIG, budget(world_size))]
    assert layouts
    assert len(set(layouts)) == len(layouts)
    for layout in layouts:
        assert layout.tensor * layout.pipeline * layout.context * layout.data_parallel == world_size
        assert sum(layout.stages) == model.layers
        assert model.attention_heads % layout.tensor == 0
        assert BIG.global_batch_size % (BIG.micro_batch_size * layout.data_parallel) == 0
        assert BIG.seq_length % (2 * layout.context) == 0 or layout.context == 1


def test_the_best_layout_fits_and_no_other_that_fits_is_faster() -> None:
    candidates = search(LLAMA_8B, StepShape(1, 512, 8192), budget(64))
    assert candidates
    assert all(candidate.memory_bytes <= admitted_bytes(H100.memory) for candidate in candidates)
    assert candidates[0].seconds == min(candidate.seconds for candidate in candidates)


def test_nothing_fits_where_memory_is_too_small() -> None:
    assert search(LLAMA_405B, BIG, budget(8)) == ()


def test_without_speeds_the_simplest_layout_wins() -> None:
    [best, *_] = search(
        LLAMA_8B,
        StepShape(1, 64, 4096),
        DeviceBudget(world_size=8, devices_per_node=8, memory_bytes=None, speeds=None),
    )
    assert (best.layout.tensor, best.layout.pipeline, best.layout.context) == (1, 1, 1)


def test_405b_needs_its_ends_counted_on_16384_devices() -> None:
    candidates = search(LLAMA_405B, BIG, budget(16_384))
    assert candidates[0].counts_ends
    assert sum(candidates[0].layout.stages) == 126


def test_a_full_search_for_405b_on_16384_devices_compares_hundreds_of_layouts() -> None:
    # How long it takes is measured by benchmarks/planner_search.py, not by a test.
    assert sum(1 for _ in legal_layouts(LLAMA_405B, BIG, budget(16_384))) > 500


def test_experts_with_tensor_parallelism_always_split_the_sequence() -> None:
    wants: Callable[..., bool] = lambda layout: layout.tensor == 1 or layout.sequence_parallel  # noqa: E731
    layouts = [layout for layout, _ in legal_layouts(MOE, BIG, budget(32))]
    assert any(layout.tensor > 1 for layout in layouts)
    assert all(wants(layout) for layout in layouts)
