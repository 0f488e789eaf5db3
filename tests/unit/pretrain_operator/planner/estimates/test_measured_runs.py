"""Runs of our trainer that were measured on one H200 (`make bench-gpu`) are met."""

import pytest

from pretrain_api.formulas.model_shapes import model_shape_of
from pretrain_api.profiles import DEVICES
from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.memory import peak_memory
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.speeds import speeds_of
from pretrain_operator.planner.estimates.step_shape import StepShape
from pretrain_operator.planner.estimates.step_time import step_time

MEASURED = {
    "1B, micro-batch 1": ("llama3.2-1b", 16, 128_256, 1, 0.280, 29.3e9),
    "1B, micro-batch 4": ("llama3.2-1b", 16, 128_256, 4, 1.026, 48.5e9),
    "8 layers of 8B": ("llama3.1-8b", 8, 128_256, 2, 0.836, 63.5e9),
    "4 layers of 30B with 128 experts": ("qwen3-30b-a3b", 4, 151_936, 4, 0.594, 70.0e9),
}
"""Preset, layers, ids, sequences of 4,096 tokens in each of four micro-batches; seconds, bytes."""


@pytest.mark.parametrize("name", MEASURED)
def test_a_measured_run_is_met(name: str) -> None:
    preset, layers, ids, size, seconds, memory = MEASURED[name]
    model = model_shape_of(ModelSpec.model_validate({"preset": preset, "layers": layers}), ids)
    run = PlannedRun(model, Layout(1, (layers,)), StepShape(size, 4 * size, 4096))
    assert step_time(run, speeds_of(DEVICES["h200"])).total == pytest.approx(seconds, rel=0.15)
    assert 0.0 < peak_memory(run, 0).total / memory - 1 < 0.08
