"""Step time against published runs."""

from dataclasses import replace

import pytest

from pretrain_api.formulas.model_shapes import ModelShape
from pretrain_api.profiles import DEVICES
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.speeds import speeds_of
from pretrain_operator.planner.estimates.step_shape import StepShape
from pretrain_operator.planner.estimates.step_time import step_time

LLAMA_8B = ModelShape(32, 4096, 14336, 32, 8, 128, 128_256)
A100 = speeds_of(DEVICES["a100-80gb"])


def test_the_bubble_is_that_of_the_interleaved_schedule() -> None:
    model = ModelShape(48, 1024, 4096, 16, 16, 64, 32_000)
    run = PlannedRun(model, Layout(8, (6,) * 8, virtual=3), StepShape(1, 64, 1024))
    time = step_time(run, A100)
    assert time.bubble / time.compute == pytest.approx(7 / (3 * 64), rel=1e-6)


PUBLISHED = {
    # Korthikanti et al., table 5: seconds of an iteration on A100.
    "22B": ((48, 6144, 64), Layout(8, (48,), 8), 4, 4, 1.10, 1.42),
    "175B": ((96, 12288, 96), Layout(64, (12,) * 8, 8, 3), 1, 64, 13.75, 18.13),
    "530B": ((105, 20480, 128), Layout(280, (3,) * 35, 8, 3), 1, 280, 37.83, 49.05),
    "1T": ((128, 25600, 160), Layout(512, (2,) * 64, 8, 1), 1, 512, 71.49, 94.42),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_runs_are_met_within_the_interval(name: str) -> None:
    (layers, hidden, heads), layout, micro, batch, selective, full = PUBLISHED[name]
    head_dim = hidden // heads
    model = ModelShape(layers, hidden, 4 * hidden, heads, heads, head_dim, 51_200, is_gated=False)
    layout = replace(layout, distributed_optimizer=False)
    step = StepShape(micro, batch, 2048, has_fused_attention=False, has_early_attention=True)
    step = replace(step, has_upstream_kernels=True)
    split = replace(layout, sequence_parallel=True)
    run = PlannedRun(model, split, replace(step, recompute="selective"))
    assert step_time(run, A100).total == pytest.approx(selective, rel=0.15)
    run = PlannedRun(model, layout, replace(step, recompute="full"))
    assert step_time(run, A100).total == pytest.approx(full, rel=0.15)


def test_a_faster_device_is_faster_and_fp8_faster_still() -> None:
    run = PlannedRun(LLAMA_8B, Layout(8, (32,)), StepShape(1, 64, 8192))
    times = [
        step_time(run, speeds_of(d)).total
        for d in (DEVICES["a100-80gb"], DEVICES["h100"], DEVICES["h200"], DEVICES["b200"])
    ]
    assert times == sorted(times, reverse=True)
    fp8 = replace(run, step=replace(run.step, precision="fp8"))
    assert step_time(fp8, speeds_of(DEVICES["h100"])).total < times[1]


def test_every_known_device_has_a_speed() -> None:
    run = PlannedRun(LLAMA_8B, Layout(8, (32,)), StepShape(1, 8, 128))
    for device in DEVICES.values():
        assert step_time(run, speeds_of(device)).total > 0
