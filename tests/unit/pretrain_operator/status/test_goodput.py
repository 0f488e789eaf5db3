"""Goodput: which share of a run's time was spent on steps that count, and what cost the rest."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW
from pretrain_api.v1alpha1.parallelism import ParallelismSpec
from pretrain_api.v1alpha1.plan import MemoryPlan, PlanStatus
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus
from pretrain_api.v1alpha1.progress import Progress
from pretrain_operator.observed.clock import format_time
from pretrain_operator.status.goodput import compute_goodput

STEP_TOKENS, WORLD = 1000, 4
SPEED = 25.0
"""Tokens a second of each device: a step takes ten seconds."""

MEMORY = MemoryPlan(
    weights=1, gradients=1, optimizer=1, activations=1, logits=1, buffers=1, total=6
)
PLAN = PlanStatus(
    world_size=WORLD,
    data_parallel=4,
    micro_batches=1,
    steps=1000,
    tokens_per_step=STEP_TOKENS,
    parameters=1,
    active_parameters=1,
    padded_vocabulary_size=8,
    parallelism=ParallelismSpec(),
    micro_batch_size=1,
    memory_per_gpu=MEMORY,
    stages=[],
)


def at(seconds: float) -> str:
    return format_time(NOW + timedelta(seconds=seconds))


def attempt(number: int, start: float, end: float | None = None, **fields: Any) -> AttemptStatus:
    ended = {"ended_at": at(end)} if end is not None else {}
    return AttemptStatus(
        number=number, job=f"run-a{number}", started_at=at(start), **ended, **fields
    )


def progress(step: int, seconds: float, number: int = 1) -> Progress:
    return Progress(
        attempt=number,
        step=step,
        tokens_per_second_per_gpu=SPEED,
        updated_at=at(seconds),
    )


def test_a_run_that_only_trains_loses_its_start() -> None:
    found = compute_goodput([attempt(1, 0)], progress(90, 1000), PLAN)
    assert found is not None
    assert found.share == 0.9
    assert found.lost_seconds == {"overhead": 100}


def test_an_attempt_that_ends_early_costs_its_start_its_lost_steps_and_the_restart() -> None:
    attempts = [
        attempt(1, 0, 550, reason="preempted", to_step=50, lost_steps=10),
        attempt(2, 600, from_step=40),
    ]
    found = compute_goodput(attempts, progress(80, 1100, 2), PLAN)
    assert found is not None
    assert found.lost_seconds == {"preempted": 200, "overhead": 100}
    assert found.share == round(800 / 1100, 3)


def test_nothing_is_told_before_the_speed_is_known() -> None:
    slow = progress(1, 10).model_copy(update={"tokens_per_second_per_gpu": None})
    assert compute_goodput([attempt(1, 0)], slow, PLAN) is None
    assert compute_goodput([attempt(1, 0)], progress(1, 10), None) is None
    assert compute_goodput([], progress(1, 10), PLAN) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["preempted", "infrastructure", "hang", "suspended", "lossSpike"]),
            st.integers(1, 5000),
            st.integers(0, 500),
            st.integers(0, 500),
            st.integers(0, 200),
        ),
        max_size=8,
    ),
    st.integers(0, 1000),
    st.integers(1, 5000),
)
def test_time_that_counts_and_time_that_is_lost_are_all_the_time(
    ends: list[tuple[str, int, int, int, int]], step: int, last_seconds: int
) -> None:
    attempts, now = [], 0
    for number, (reason, seconds, to_step, lost, pause) in enumerate(ends, 1):
        attempts.append(
            attempt(number, now, now + seconds, reason=reason, to_step=to_step, lost_steps=lost)
        )
        now += seconds + pause
    number = len(ends) + 1
    attempts.append(attempt(number, now))
    found = compute_goodput(attempts, progress(step, now + last_seconds, number), PLAN)
    assert found is not None
    assert 0 <= found.share <= 1
    total = now + last_seconds
    lost = sum(found.lost_seconds.values())
    assert abs(found.share * total + lost - total) <= 0.001 * total + number


@pytest.mark.parametrize("speed", [float("nan"), float("inf"), -1.0, 5e-324, 0.0])
def test_a_speed_that_cannot_be_gives_no_goodput(speed: float) -> None:
    wrong = progress(90, 1000).model_copy(update={"tokens_per_second_per_gpu": speed})
    assert compute_goodput([attempt(1, 0)], wrong, PLAN) is None


def test_goodput_changes_only_with_the_status() -> None:
    """Else every reconcile would write one."""
    attempts = [attempt(1, 0)]
    first = compute_goodput(attempts, progress(90, 1000), PLAN)
    assert compute_goodput(attempts, progress(90, 1000), PLAN) == first
