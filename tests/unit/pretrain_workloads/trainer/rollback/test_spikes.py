"""A recorded spike is found before its peak, and a recorded healthy run has none."""

import csv
import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.trainer.rollback.spikes import SpikeDetector

CURVES = Path(__file__).parents[4] / "recorded_curves"


def read_curve(name: str) -> list[dict[str, float]]:
    with (CURVES / name).open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def steady(
    seed: int, steps: int, loss: float = 2.2, norm: float = 0.242
) -> list[tuple[float, float]]:
    rng = random.Random(seed)
    return [
        (loss * rng.gauss(1.0, 0.01), norm * rng.lognormvariate(0.0, 0.1)) for _ in range(steps)
    ]


def spikes(detector: SpikeDetector, steps: list[tuple[float, float]]) -> list[int]:
    return [number for number, step in enumerate(steps) if detector.add(*step) is not None]


def test_the_recorded_spike_of_a_176b_model_is_found_before_its_peak() -> None:
    detector = SpikeDetector(6.0, 128)
    assert spikes(detector, steady(1, 128)) == []
    curve = read_curve("spike-176b.csv")
    found = spikes(detector, [(row["loss"], row["norm"]) for row in curve])
    steps = [curve[number]["step"] for number in found]
    peak = max(curve, key=lambda row: row["loss"])["step"]
    assert steps == [31217.0]
    assert steps[0] < peak == 31219.0


def test_the_recorded_curve_of_a_healthy_15b_model_has_no_spike() -> None:
    curve = read_curve("healthy-15b.csv")
    assert len(curve) == 10_173
    assert spikes(SpikeDetector(6.0, 128), [(row["loss"], 1.0) for row in curve]) == []


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
def test_noise_is_no_spike_at_any_scale(seed: int, scale: float) -> None:
    steps = [(loss * scale, norm * scale) for loss, norm in steady(seed, 400)]
    assert spikes(SpikeDetector(6.0, 64), steps) == []


@given(seed=st.integers(0, 1000), cut=st.integers(0, 140), rise=st.floats(1.3, 5.0))
def test_a_resumed_detector_finds_the_spike_at_the_same_step(
    seed: int, cut: int, rise: float
) -> None:
    steps = steady(seed, 134) + steady(seed + 1, 6, loss=2.2 * rise)
    undisturbed = spikes(SpikeDetector(6.0, 128), steps)
    before = SpikeDetector(6.0, 128)
    first = spikes(before, steps[:cut])
    after = SpikeDetector(6.0, 128)
    after.restore(before.state)
    rest = spikes(after, steps[cut:])
    assert [*first, *(cut + number for number in rest)] == undisturbed == [136]


def test_two_odd_batches_are_no_spike_and_a_constant_loss_does_not_make_every_rise_one() -> None:
    detector = SpikeDetector(6.0, 16)
    quiet = [(2.0, 1.0)] * 16
    assert spikes(detector, [*quiet, (9.0, 1.0), (9.0, 1.0), *quiet]) == []
    assert spikes(detector, [(2.1, 1.0)] * 8) == [], "a twentieth more"
    assert spikes(detector, [(3.0, 1.0)] * 4) == [2]


def test_a_batch_of_a_text_that_is_memorised_is_no_spike() -> None:
    detector = SpikeDetector(6.0, 16)
    assert spikes(detector, [(0.0, 0.0)] * 16 + [(0.01, 1e-4)] * 8) == []
    assert spikes(detector, [(1.0, 1.0)] * 3) == [2]


def test_a_spike_is_described_with_its_values() -> None:
    detector = SpikeDetector(6.0, 16)
    for step in steady(3, 16):
        detector.add(*step)
    texts = [detector.add(5.0, 100.0) for _ in range(3)]
    assert texts[:2] == [None, None]
    assert texts[2] is not None
    assert texts[2].startswith("the loss is 5, ")
    assert " and the gradient's norm is 100, " in texts[2]
