from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, at, make_job
from pretrain_api.conditions import Reason
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.pretrainjob import (
    AttemptStatus,
    Budgets,
    InfrastructureBudget,
    UserBudget,
)
from pretrain_operator.observed.clock import format_time
from pretrain_operator.plan.failures import UNREPORTED
from pretrain_operator.plan.runs.attempts import (
    REPLACED,
    SHOWN_ATTEMPTS,
    SUSPENDED,
    GiveUp,
    NextAttempt,
    decide_next_attempt,
    keep_attempts,
    next_number,
)

FREE = (ExitClass.PREEMPTED.value, SUSPENDED)
BUDGET_OF = {
    "infrastructure": "infrastructure",
    "hang": "infrastructure",
    "lossSpike": "rollback",
    "notANumber": "rollback",
}
ENDS = st.sampled_from([end.value for end in ExitClass] + [UNREPORTED, SUSPENDED])
TIGHT = Budgets(infrastructure=InfrastructureBudget(max=2, window=3600), user=UserBudget(max=1))


def history(*ends: str, apart: float = 10) -> list[AttemptStatus]:
    """Return attempts with these ends, `apart` seconds from each other, the last one at `NOW`."""
    return [
        AttemptStatus(
            number=index + 1,
            job=f"run-a{index + 1}",
            reason=end,
            message="it broke",
            ended_at=format_time(at((index + 1 - len(ends)) * apart)),
        )
        for index, end in enumerate(ends)
    ]


def test_the_first_attempt_has_number_one_and_starts_at_once() -> None:
    assert next_number([], []) == 1
    assert decide_next_attempt([], Budgets(), NOW) == NextAttempt(None)


@given(st.lists(ENDS, max_size=8), st.lists(st.integers(1, 40), max_size=5))
def test_the_number_always_increases(ends: list[str], numbers: list[int]) -> None:
    attempts = history(*ends)
    jobs = [make_job(f"run-a{number}", attempt=number) for number in numbers]
    number = next_number(attempts, jobs)
    assert number > max([0, *numbers, *(attempt.number for attempt in attempts)])


@given(st.sampled_from([end.value for end in ExitClass if end.value != "complete"]))
def test_no_cause_but_preemption_restarts_for_ever(end: str) -> None:
    attempts = history(*[end] * (SHOWN_ATTEMPTS + 5))
    decision = decide_next_attempt(attempts, TIGHT, NOW)
    assert isinstance(decision, NextAttempt if end in FREE else GiveUp)


@pytest.mark.parametrize("end", [ExitClass.USER_ERROR, ExitClass.BAD_DATA])
def test_an_error_that_only_the_user_can_fix_ends_the_run_at_once(end: ExitClass) -> None:
    decision = decide_next_attempt(history(end.value), Budgets(), NOW)
    assert isinstance(decision, GiveUp)
    assert (decision.reason.value.lower(), decision.message) == (end.value.lower(), "it broke")


def test_budgets_are_charged_by_cause() -> None:
    mixed = history(UNREPORTED, "infrastructure", "preempted", "infrastructure")
    assert isinstance(decide_next_attempt(mixed, TIGHT, NOW), NextAttempt)
    spent = history("infrastructure", "hang", "infrastructure")
    decision = decide_next_attempt(spent, TIGHT, NOW)
    assert isinstance(decision, GiveUp)
    assert decision.reason is Reason.RESTART_BUDGET_EXHAUSTED
    assert "spec.recovery.budgets.infrastructure.max = 2" in decision.message


def test_a_program_error_is_retried_less_often_than_a_lost_node() -> None:
    bug = ExitClass.PROGRAM_ERROR.value
    assert isinstance(decide_next_attempt(history(bug, bug), Budgets(), NOW), NextAttempt)
    decision = decide_next_attempt(history(bug, bug, bug), Budgets(), NOW)
    assert isinstance(decision, GiveUp)
    assert "spec.recovery.budgets.user.max = 2" in decision.message


def test_ends_outside_the_window_are_not_charged() -> None:
    rare = history(*["infrastructure"] * 10, apart=1900)
    assert isinstance(decide_next_attempt(rare, TIGHT, NOW), NextAttempt)


def test_out_of_memory_is_the_reason_if_it_exhausted_the_budget() -> None:
    decision = decide_next_attempt(history("outOfMemory", "outOfMemory"), TIGHT, NOW)
    assert isinstance(decision, GiveUp)
    assert decision.reason is Reason.OUT_OF_MEMORY


def test_repeated_failures_have_a_growing_backoff_of_at_most_a_minute() -> None:
    delays = []
    for count in range(1, 12):
        decision = decide_next_attempt(history(*["infrastructure"] * count), Budgets(), NOW)
        assert isinstance(decision, NextAttempt)
        delays.append((decision.not_before or NOW) - NOW)
    assert delays[0] == timedelta(0)
    assert delays == sorted(delays)
    assert delays[-1] == timedelta(seconds=60)


@pytest.mark.parametrize("end", [*FREE, REPLACED])
def test_ends_that_are_free_of_charge_have_a_growing_backoff_too(end: str) -> None:
    delays = []
    for count in range(1, 12):
        decision = decide_next_attempt(history(*[end] * count), TIGHT, NOW)
        assert isinstance(decision, NextAttempt)
        delays.append(((decision.not_before or NOW) - NOW).total_seconds())
    assert delays == [0, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]


def test_ends_that_are_free_of_charge_and_far_apart_have_no_backoff() -> None:
    rare = history(*["preempted"] * 10, apart=1200)
    assert decide_next_attempt(rare, TIGHT, NOW) == NextAttempt(None)


def test_a_retry_resets_the_backoff_but_not_the_number() -> None:
    ended = history(*["preempted"] * 5)
    assert decide_next_attempt(ended, TIGHT, NOW, retry="1") == NextAttempt(None)
    assert next_number(ended, []) == 6


def test_all_attempts_that_a_budget_counts_are_kept() -> None:
    attempts = history(*["infrastructure"] * 40)
    budgets = Budgets(infrastructure=InfrastructureBudget(max=30, window=None))
    kept = keep_attempts(attempts, budgets)
    assert [attempt.number for attempt in kept] == list(range(10, 41))
    assert isinstance(decide_next_attempt(kept, budgets, NOW), GiveUp)
    assert len(keep_attempts(attempts, TIGHT)) == SHOWN_ATTEMPTS


HISTORIES = st.lists(
    st.sampled_from([*FREE, *FREE, *FREE, "infrastructure", "hang", UNREPORTED, "lossSpike"]),
    max_size=200,
)


@given(HISTORIES, st.integers(0, 6), st.integers(0, 6))
def test_budgets_bound_the_charged_ends_of_any_history(
    ends: list[str], infrastructure: int, user: int
) -> None:
    budgets = Budgets(
        infrastructure=InfrastructureBudget(max=infrastructure, window=None),
        user=UserBudget(max=user),
    )
    kept: tuple[AttemptStatus, ...] = ()
    charged = {"infrastructure": 0, "user": 0, "rollback": 0}
    for end in history(*ends):
        if isinstance(decide_next_attempt(kept, budgets, NOW), GiveUp):
            break
        assert next_number(kept, []) == end.number
        kept = keep_attempts([*kept, end], budgets)
        if end.reason not in FREE:
            charged[BUDGET_OF.get(end.reason or "", "user")] += 1
    assert charged["infrastructure"] <= infrastructure + 1
    assert charged["user"] <= user + 1
    assert charged["rollback"] <= budgets.rollback.max + 1
    assert len(kept) <= SHOWN_ATTEMPTS + infrastructure + user + budgets.rollback.max + 3


def test_ends_free_of_charge_do_not_push_out_those_that_a_budget_counts() -> None:
    attempts = history(UNREPORTED, *["preempted"] * 30, UNREPORTED)
    kept = keep_attempts(attempts, TIGHT)
    assert kept[0].number == 1
    assert len(kept) == SHOWN_ATTEMPTS + 1
    assert isinstance(decide_next_attempt(kept, TIGHT, NOW), GiveUp)
