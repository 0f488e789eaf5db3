"""Speed over a sliding window of steps."""

import pytest

from pretrain_workloads.trainer.progress.speed import WINDOW, SpeedMeter


def test_speed_is_that_of_the_window() -> None:
    meter = SpeedMeter(tokens_per_step=100, train_iters=1000)
    assert meter.mark(0, 0.0) is None
    for step in range(1, 50):
        meter.mark(step, step * 10.0)
    speed = None
    for step in range(50, 50 + WINDOW + 1):
        speed = meter.mark(step, 490.0 + (step - 49) * 2.0)
    assert speed is not None
    assert speed.tokens_per_second == pytest.approx(50.0)
    assert speed.eta_seconds == pytest.approx((1000 - 70) * 2.0)


def test_a_pause_does_not_count() -> None:
    meter = SpeedMeter(tokens_per_step=10, train_iters=10)
    meter.mark(1, 0.0)
    meter.pause()
    assert meter.mark(1, 100.0) is None
    speed = meter.mark(2, 101.0)
    assert speed is not None
    assert speed.tokens_per_second == 10.0
