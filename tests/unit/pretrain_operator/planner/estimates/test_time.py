"""FLOPs and step time against vectors and published runs."""

from dataclasses import replace

import pytest

from pretrain_api.profiles import DEVICES
from pretrain_operator.planner.estimates.devices import speeds_of
from pretrain_operator.planner.estimates.flops import flops_per_token
from pretrain_operator.planner.estimates.setup import Experts, Layout, Model, Work
from pretrain_operator.planner.estimates.sizes import active_parameters, total_parameters
from pretrain_operator.planner.estimates.step_time import step_time

LLAMA_8B = Model(32, 4096, 14336, 32, 8, 128, 128_256)
A100 = speeds_of(DEVICES["a100-80gb"])


def test_parameters_are_those_that_are_published() -> None:
    assert total_parameters(LLAMA_8B) == 8_030_261_248
    llama_405b = Model(126, 16384, 53248, 128, 8, 128, 128_256)
    assert total_parameters(llama_405b) == 405_853_388_800
    padded = replace(LLAMA_8B, vocabulary=131_072)
    assert total_parameters(padded, 128_256) == 8_030_261_248


def test_active_parameters_of_experts_are_those_that_are_published() -> None:
    mixtral = Model(32, 4096, 14336, 32, 8, 128, 32_000, experts=Experts(8, 2, 14336))
    assert total_parameters(mixtral) / 1e9 == pytest.approx(46.7, abs=0.05)
    assert active_parameters(mixtral) / 1e9 == pytest.approx(12.9, abs=0.05)


def test_flops_are_counted_in_causal_attention() -> None:
    causal = flops_per_token(LLAMA_8B, 8192)
    assert causal == pytest.approx(5.147040e10, rel=1e-6)
    scores = 6 * 32 * 4096 * 8192
    assert (causal + scores) / causal == pytest.approx(1.1252, abs=1e-4)
    assert causal - scores == pytest.approx(4.502795e10, rel=1e-6)


def test_the_bubble_is_that_of_the_interleaved_schedule() -> None:
    model = Model(48, 1024, 4096, 16, 16, 64, 32_000)
    layout, work = Layout(8, (6,) * 8, virtual=3), Work(1, 64, 1024)
    time = step_time(model, layout, work, A100)
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
    model = Model(layers, hidden, 4 * hidden, heads, heads, hidden // heads, 51_200, is_gated=False)
    layout = replace(layout, distributed_optimizer=False)
    work = Work(micro, batch, 2048, has_fused_attention=False, has_early_attention=True)
    lean = replace(layout, sequence=True)
    got = step_time(model, lean, replace(work, recompute="selective"), A100).total
    assert got == pytest.approx(selective, rel=0.15)
    got = step_time(model, layout, replace(work, recompute="full"), A100).total
    assert got == pytest.approx(full, rel=0.15)


def test_a_faster_device_is_faster_and_fp8_faster_still() -> None:
    layout, work = Layout(8, (32,)), Work(1, 64, 8192)
    times = [
        step_time(LLAMA_8B, layout, work, speeds_of(d)).total
        for d in (DEVICES["a100-80gb"], DEVICES["h100"], DEVICES["h200"], DEVICES["b200"])
    ]
    assert times == sorted(times, reverse=True)
    fp8 = step_time(LLAMA_8B, layout, replace(work, precision="fp8"), speeds_of(DEVICES["h100"]))
    assert fp8.total < times[1]


def test_every_known_device_has_a_speed() -> None:
    for device in DEVICES.values():
        assert step_time(LLAMA_8B, Layout(8, (32,)), Work(1, 8, 128), speeds_of(device)).total > 0
