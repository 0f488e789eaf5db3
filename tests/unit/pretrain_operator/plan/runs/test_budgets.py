"""Restart budgets beside a plain count: which ends are charged, and to which budget."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import NOW, at
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, Budgets
from pretrain_operator.observed.clock import format_time
from pretrain_operator.plan.runs.attempts import (
    GiveUp,
    NextAttempt,
    decide_next_attempt,
    keep_attempts,
)

INFRASTRUCTURE = ("infrastructure", "hang")
USER = ("unreported", "programError", "outOfMemory")
ROLLBACK = ("notANumber", "lossSpike")
FREE = ("preempted", "suspended", "replaced")
WINDOWS = st.sampled_from([None, 1, 60, 86_400, 10**9])
ENDS = st.tuples(
    st.sampled_from([*INFRASTRUCTURE, *USER, *ROLLBACK, *FREE]), st.integers(0, 100_000)
)
"""Why an attempt ended, and how many seconds ago."""

BUDGETS = st.builds(
    lambda infrastructure, window, user, user_window, rollback: Budgets.model_validate(
        {
            "infrastructure": {"max": infrastructure, "window": window},
            "user": {"max": user, "window": user_window},
            "rollback": {"max": rollback},
        }
    ),
    st.integers(0, 5),
    WINDOWS,
    st.integers(0, 5),
    WINDOWS,
    st.integers(0, 5),
)


def history(ends: list[tuple[str, int]]) -> list[AttemptStatus]:
    """Return attempts with these ends, the oldest first."""
    ordered = sorted(ends, key=lambda end: -end[1])
    return [
        AttemptStatus(
            number=number, job=f"run-a{number}", reason=reason, ended_at=format_time(at(-ago))
        )
        for number, (reason, ago) in enumerate(ordered, start=1)
    ]


def is_spent(ends: list[tuple[str, int]], budgets: Budgets) -> bool:
    """Return whether the last end was one too many for the budget that pays for it."""
    last = min(ends, key=lambda end: end[1])[0] if ends else ""
    for reasons, budget in (
        (INFRASTRUCTURE, budgets.infrastructure),
        (USER, budgets.user),
        (ROLLBACK, budgets.rollback),
    ):
        window = float("inf") if budget.window is None else budget.window
        paid = [reason for reason, ago in ends if reason in reasons and ago <= window]
        if last in reasons:
            return len(paid) > budget.max
    return False


@settings(max_examples=200)
@given(ends=st.lists(ENDS, max_size=30, unique_by=lambda end: end[1]), budgets=BUDGETS)
def test_a_run_fails_when_the_last_end_was_one_too_many_for_its_budget(
    ends: list[tuple[str, int]], budgets: Budgets
) -> None:
    attempts = history(ends)
    decision = decide_next_attempt(attempts, budgets, NOW)
    assert isinstance(decision, GiveUp) is is_spent(ends, budgets)
    after = decide_next_attempt(keep_attempts(attempts, budgets), budgets, NOW)
    assert type(after) is type(decision), "attempts that the status drops change nothing"
    assert after == decision or isinstance(decision, GiveUp)


@given(ends=st.lists(ENDS, min_size=1, max_size=30), budgets=BUDGETS, later=st.integers(0, 10**6))
def test_time_alone_never_ends_a_run_that_may_continue(
    ends: list[tuple[str, int]], budgets: Budgets, later: int
) -> None:
    if isinstance(decide_next_attempt(history(ends), budgets, NOW), NextAttempt):
        then = NOW + timedelta(seconds=later)
        assert isinstance(decide_next_attempt(history(ends), budgets, then), NextAttempt)


@given(ends=st.lists(ENDS, min_size=1, max_size=30), budgets=BUDGETS)
def test_the_next_attempt_starts_within_a_minute_of_the_last_end(
    ends: list[tuple[str, int]], budgets: Budgets
) -> None:
    decision = decide_next_attempt(history(ends), budgets, NOW)
    newest = min(ago for _, ago in ends)
    if isinstance(decision, NextAttempt) and decision.not_before is not None:
        assert at(-newest) < decision.not_before <= at(60 - newest)


@pytest.mark.parametrize("window", ["1d", "9999d", "36500d"])
def test_a_window_may_be_longer_than_any_run(window: str) -> None:
    budgets = Budgets.model_validate({"infrastructure": {"max": 1, "window": window}})
    attempts = history([("infrastructure", 50), ("infrastructure", 10)])
    decision = decide_next_attempt(attempts, budgets, NOW)
    assert isinstance(decision, GiveUp)
    assert "2 attempts ended with an error of the class 'infrastructure'" in decision.message
