"""The loss curve: bounded, with both ends, and the same after a resume."""

from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.v1alpha1.progress import CurvePoint
from pretrain_workloads.trainer.progress.curve import MAX_POINTS, LossCurve, shortened


@given(steps=st.integers(1, 3000))
def test_a_curve_is_bounded_and_keeps_its_ends(steps: int) -> None:
    curve = LossCurve()
    for step in range(1, steps + 1):
        curve.add(step, float(step))
    kept = [point.step for point in curve.points]
    assert len(kept) <= MAX_POINTS
    assert (kept[0], kept[-1]) == (1, steps)
    assert kept == sorted(set(kept))


@given(steps=st.integers(2, 800), stop=st.integers(1, 799))
def test_a_resumed_curve_has_the_points_of_the_undisturbed_one(steps: int, stop: int) -> None:
    whole, first = LossCurve(), LossCurve()
    for step in range(1, steps + 1):
        whole.add(step, float(step))
        if step <= stop:
            first.add(step, float(step))
    resumed = LossCurve(first.points)
    for step in range(stop + 1, steps + 1):
        resumed.add(step, float(step))
    assert {point.step for point in whole.points} <= {point.step for point in resumed.points}


@given(size=st.integers(0, 100), at_most=st.integers(2, 30))
def test_a_shortened_curve_keeps_its_ends(size: int, at_most: int) -> None:
    points = [CurvePoint(step=n, loss=0.0) for n in range(size)]
    short = shortened(points, at_most)
    assert len(short) == min(size, at_most)
    assert short[:1] == points[:1]
    assert short[-1:] == points[-1:]
