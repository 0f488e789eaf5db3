"""Restarts of a run: which budget pays for the end of an attempt, and whether another one follows.

An attempt is one Indexed Job. Its number increases and is never used twice, so the pods of two
attempts have different names and cannot be mistaken for each other.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal, get_args

from pretrain_api.conditions import Reason
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, Budgets, RestartBudget
from pretrain_operator.observed.clock import read_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.plan.failures import UNREPORTED, condition_reason, is_final

SHOWN_ATTEMPTS = 20
"""Number of newest attempts that the status shows in full."""

SUSPENDED = "suspended"
"""End of an attempt because the run was suspended by its spec."""

REPLACED = "replaced"
"""End of an attempt that had not run yet when its ComputeProfile changed."""

_MAX_BACKOFF_SECONDS = 60
_RECENT_SECONDS = 600
"""All ends within this time, also those that no budget pays for, increase the backoff."""

Budget = Literal["infrastructure", "user", "rollback"]

_BUDGETS: tuple[Budget, ...] = get_args(Budget)

_CHARGES: dict[str, Budget] = {
    ExitClass.INFRASTRUCTURE.value: "infrastructure",
    ExitClass.HANG.value: "infrastructure",
    UNREPORTED: "user",
    ExitClass.PROGRAM_ERROR.value: "user",
    ExitClass.OUT_OF_MEMORY.value: "user",
    ExitClass.NOT_A_NUMBER.value: "rollback",
    ExitClass.LOSS_SPIKE.value: "rollback",
}
"""Which budget pays for an end; none pays for preemptions, suspensions and completions."""


@dataclass(frozen=True)
class NextAttempt:
    """Another attempt follows."""

    not_before: datetime | None
    """Start of the attempt, after a backoff. `None` means now."""


@dataclass(frozen=True)
class GiveUp:
    """No attempt follows: the run has failed."""

    reason: Reason
    message: str


def next_number(attempts: Iterable[AttemptStatus], jobs: Iterable[ObservedJob]) -> int:
    """Return a number that no attempt has had: neither in the status nor on a Job."""
    used = [attempt.number for attempt in attempts] + [job.attempt for job in jobs]
    return max(used, default=0) + 1


def keep_attempts(attempts: Sequence[AttemptStatus], budgets: Budgets) -> tuple[AttemptStatus, ...]:
    """Return the attempts that the status keeps: the newest in full, older ones for the budgets.

    Ends that no budget or another budget pays for must not push out those that a budget counts:
    otherwise a run that is also preempted could fail without limit.
    """
    counted: set[int] = set()
    for budget in _BUDGETS:
        counted |= _newest(attempts, budget, _limit(budgets, budget).max + 1)
    older = [
        attempt.model_copy(update={"message": ""})
        for attempt in attempts[:-SHOWN_ATTEMPTS]
        if attempt.number in counted
    ]
    return (*older, *attempts[-SHOWN_ATTEMPTS:])


def _newest(attempts: Sequence[AttemptStatus], budget: Budget, count: int) -> set[int]:
    """Return the numbers of the newest `count` attempts that `budget` pays for."""
    charged = [a.number for a in attempts if _CHARGES.get(a.reason or "") == budget]
    return set(charged[-count:])


def decide_next_attempt(
    attempts: Sequence[AttemptStatus], budgets: Budgets, now: datetime, retry: str | None = None
) -> NextAttempt | GiveUp:
    """Return whether another attempt follows `attempts`, all of which have ended.

    Only attempts with the current value of the retry annotation, `retry`, count.
    """
    attempts = [*takewhile(lambda attempt: attempt.retry == retry, reversed(attempts))][::-1]
    last = attempts[-1] if attempts else None
    if last is None or last.reason is None:
        return NextAttempt(None)
    if is_final(last.reason):
        return GiveUp(condition_reason(last.reason), last.message)
    budget = _CHARGES.get(last.reason)
    recent = _recent(attempts, now)
    if budget is None:
        return NextAttempt(_not_before(last, recent, now))
    limit = _limit(budgets, budget)
    charged = _charged(attempts, budget, limit, now)
    if len(charged) > limit.max:
        return GiveUp(_reason(last), _exhausted(budget, limit, len(charged), last))
    return NextAttempt(_not_before(last, max(recent, len(charged)), now))


def _limit(budgets: Budgets, budget: Budget) -> RestartBudget:
    limit: RestartBudget = getattr(budgets, budget)
    return limit


def _charged(
    attempts: Sequence[AttemptStatus], budget: Budget, limit: RestartBudget, now: datetime
) -> list[AttemptStatus]:
    window = math.inf if limit.window is None else limit.window
    return [
        attempt
        for attempt in attempts
        if _CHARGES.get(attempt.reason or "") == budget
        and (_seconds_since_end(attempt, now) or 0.0) <= window
    ]


def _seconds_since_end(attempt: AttemptStatus, now: datetime) -> float | None:
    """Return the seconds since `attempt` ended; `None` if that is unknown."""
    end = read_time(attempt.ended_at)
    return (now - end).total_seconds() if end else None


def _reason(last: AttemptStatus) -> Reason:
    is_memory = last.reason == ExitClass.OUT_OF_MEMORY
    return Reason.OUT_OF_MEMORY if is_memory else Reason.RESTART_BUDGET_EXHAUSTED


def _exhausted(budget: Budget, limit: RestartBudget, count: int, last: AttemptStatus) -> str:
    within = f" within {limit.window} s" if limit.window else ""
    return (
        f"{count} attempts ended with an error of the class {budget!r}{within}, and "
        f"spec.recovery.budgets.{budget}.max = {limit.max} allows {limit.max}; "
        f"the last one ({last.job}, {last.reason}): {last.message}"
    )


def _recent(attempts: Sequence[AttemptStatus], now: datetime) -> int:
    """Return how many attempts ended recently, whether a budget pays for them or not."""
    ages = [_seconds_since_end(attempt, now) for attempt in attempts]
    return sum(age is not None and age <= _RECENT_SECONDS for age in ages)


def _not_before(last: AttemptStatus, ends: int, now: datetime) -> datetime | None:
    """Return when the backoff after `last` ends; `None` if there is none.

    An end far in the future is that of another clock, or of one that was put back since: it is not
    waited for.
    """
    age = _seconds_since_end(last, now)
    if ends < 2 or age is None or age < -_MAX_BACKOFF_SECONDS:
        return None
    delay = min(_MAX_BACKOFF_SECONDS, 2 ** min(ends - 1, 10))
    return now + timedelta(seconds=delay - age)
