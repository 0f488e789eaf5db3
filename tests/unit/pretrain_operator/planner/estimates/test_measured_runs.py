"""Runs of our trainer that were measured on one H200 (`make bench-gpu`) are met."""

import pytest

from pretrain_api.formulas.model_shapes import model_shape_of
from pretrain_api.profiles import DEVICES
from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_api.v1alpha1.training import Recompute
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.memory import peak_memory
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.speeds import speeds_of
from pretrain_operator.planner.estimates.step_shape import StepShape
from pretrain_operator.planner.estimates.step_time import step_time

MEASURED: dict[str, tuple[str, int, int, int, Recompute, float, float]] = {
    "1B, micro-batch 1": ("llama3.2-1b", 16, 128_256, 1, "none", 0.280, 29.3e9),
    "1B, micro-batch 4": ("llama3.2-1b", 16, 128_256, 4, "none", 1.026, 48.5e9),
    "1B, selective": ("llama3.2-1b", 16, 128_256, 4, "selective", 1.030, 42.0e9),
    "8 layers of 8B": ("llama3.1-8b", 8, 128_256, 2, "none", 0.836, 63.5e9),
    "4 layers of 30B with 128 experts": ("qwen3-30b-a3b", 4, 151_936, 4, "none", 0.574, 70.0e9),
}
"""Preset, layers, ids, sequences of 4,096 tokens in each of four micro-batches, recomputation;
seconds, bytes."""


@pytest.mark.parametrize("name", MEASURED)
def test_a_measured_run_is_met(name: str) -> None:
    preset, layers, ids, size, recompute, seconds, memory = MEASURED[name]
    model = model_shape_of(ModelSpec.model_validate({"preset": preset, "layers": layers}), ids)
    step = StepShape(size, 4 * size, 4096, recompute=recompute)
    run = PlannedRun(model, Layout(1, (layers,)), step)
    assert step_time(run, speeds_of(DEVICES["h200"])).total == pytest.approx(seconds, rel=0.2)
    assert 0.0 < peak_memory(run, 0).total / memory - 1 < 0.08
