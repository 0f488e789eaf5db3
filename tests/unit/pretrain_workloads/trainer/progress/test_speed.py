"""Speed over a sliding window of steps."""

import pytest

from pretrain_workloads.trainer.progress.speed import WINDOW, SpeedMeter


def test_speed_is_that_of_the_window() -> None:
    meter = SpeedMeter(total_tokens=100_000)
    assert meter.mark(0, 0.0) is None
    for step in range(1, 50):
        meter.mark(step * 100, step * 10.0)
    speed = None
    for step in range(50, 50 + WINDOW + 1):
        speed = meter.mark(step * 100, 490.0 + (step - 49) * 2.0)
    assert speed is not None
    assert speed.tokens_per_second == pytest.approx(50.0)
    assert speed.eta_seconds == pytest.approx((1000 - 70) * 2.0)


def test_a_pause_does_not_count() -> None:
    meter = SpeedMeter(total_tokens=100)
    meter.mark(10, 0.0)
    meter.pause()
    assert meter.mark(10, 100.0) is None
    speed = meter.mark(20, 101.0)
    assert speed is not None
    assert speed.tokens_per_second == 10.0
