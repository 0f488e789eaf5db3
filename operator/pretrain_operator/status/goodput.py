"""Goodput of a run: which share of its time was spent on steps that count."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from math import isfinite

from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, Goodput
from pretrain_api.v1alpha1.progress import Progress
from pretrain_operator.observed.clock import read_time

OVERHEAD = "overhead"
"""Cause of the time that no early end has cost."""


def compute_goodput(
    attempts: Sequence[AttemptStatus], progress: Progress | None, plan: PlanStatus | None
) -> Goodput | None:
    """Return the goodput over `attempts`, oldest first; `None` before it can be known.

    It depends on nothing but the status, so that it changes only when the status does: the time of
    an attempt that runs ends with its last progress.
    """
    step_seconds = _step_seconds(progress, plan)
    bounds = [_bounds(attempt, progress) for attempt in attempts]
    if progress is None or step_seconds is None or not bounds or None in bounds:
        return None
    starts = [start for start, _ in (bound for bound in bounds if bound)]
    end = max(end for _, end in (bound for bound in bounds if bound))
    lost: Counter[str] = Counter()
    counted_seconds = 0.0
    reached = attempts[0].from_step or 0
    for index, attempt in enumerate(attempts):
        is_last = index == len(attempts) - 1
        until = end if is_last else starts[index + 1]
        kept = progress.step if is_last else _kept_step(attempt)
        seconds = max(0.0, (until - starts[index]).total_seconds())
        counted = max(0.0, min(seconds, max(0, kept - reached) * step_seconds))
        cause = attempt.reason if attempt.reason not in (None, "complete") else OVERHEAD
        lost[str(cause)] += round(seconds - counted)
        counted_seconds += counted
        reached = max(reached, kept)
    total = max(0.0, (end - starts[0]).total_seconds())
    if total == 0:
        return None
    causes = {cause: seconds for cause, seconds in sorted(lost.items()) if seconds > 0}
    return Goodput(share=round(min(1.0, counted_seconds / total), 3), lost_seconds=causes)


def _step_seconds(progress: Progress | None, plan: PlanStatus | None) -> float | None:
    """Return the mean time of a step at the last measured speed."""
    if progress is None or plan is None or not progress.tokens_per_second_per_gpu:
        return None
    has_trained = progress.step > 0 and progress.tokens > 0
    tokens = progress.tokens / progress.step if has_trained else plan.tokens_per_step
    seconds = tokens / (progress.tokens_per_second_per_gpu * plan.world_size)
    return seconds if isfinite(seconds) and seconds > 0 else None  # a pod reports what it likes


def _bounds(attempt: AttemptStatus, progress: Progress | None) -> tuple[datetime, datetime] | None:
    """Return when an attempt started, and when it ended or was last heard of."""
    start = read_time(attempt.started_at)
    heard = progress.updated_at if progress and progress.attempt == attempt.number else None
    end = read_time(attempt.ended_at) or read_time(heard) or start
    return (start, max(start, end)) if start and end else None


def _kept_step(attempt: AttemptStatus) -> int:
    """Return the step that the next attempt could continue from."""
    return max(0, (attempt.to_step or 0) - (attempt.lost_steps or 0))
