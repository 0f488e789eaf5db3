"""How the attempts of a run ended, according to their Jobs."""

from collections.abc import Sequence
from datetime import datetime

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.v1alpha1.pretrainjob import AttemptCause, AttemptStatus
from pretrain_operator.observed.clock import format_time, read_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.plan.retry import retry_value
from pretrain_operator.plan.runs.attempts import SUSPENDED, keep_attempts
from pretrain_operator.plan.runs.causes import end_cause, find_cause
from pretrain_operator.plan.runs.observed_run import ObservedRun

_BY_SPEC = "suspended by spec.suspend"


def observe_attempts(run: ObservedRun, now: datetime) -> tuple[AttemptStatus, ...]:
    """Return the attempts of the last status, and of later Jobs, with how they ended."""
    attempts = [_with_end(attempt, run, now) for attempt in _all_attempts(run)]
    return keep_attempts(attempts, run.spec.recovery.budgets)


def stopped_jobs(run: ObservedRun) -> tuple[str, ...]:
    """Return the running Jobs of attempts that have ended: stopped, or without a lost pod."""
    stopped = {item.job for item in run.status.attempts if item.reason is not None}
    return tuple(
        job.name
        for job in run.jobs
        if job.name in stopped and not job.is_finished and not job.deleting
    )


def job_of(attempt: AttemptStatus | None, jobs: Sequence[ObservedJob]) -> ObservedJob | None:
    """Return the Job of an attempt, if it exists."""
    return next((job for job in jobs if attempt and job.name == attempt.job), None)


def ended(attempt: AttemptStatus, reason: str, message: str, now: datetime) -> AttemptStatus:
    """Return `attempt` with an end at `now`."""
    update = {"reason": str(reason), "message": message, "cause": None}
    update["ended_at"] = format_time(now)
    return attempt.model_copy(update=update)


def final_report(job: ObservedJob | None) -> ExitReport | None:
    """Return the exit report of pod 0 of `job`; another pod's, if that has no results."""
    pods = sorted(job.pods, key=lambda pod: pod.rank) if job else []
    reports = [pod.report for pod in pods if pod.report is not None]
    return next((r for r in reports if r.training or r.checkpoint), reports[0] if reports else None)


def _all_attempts(run: ObservedRun) -> list[AttemptStatus]:
    """Return the attempts of the status, and those whose Job was created before a crash.

    Jobs of older attempts that the status no longer lists are not read again: their pods may be
    gone, and with them the cause of their end.
    """
    attempts = run.status.attempts
    newest = max((attempt.number for attempt in attempts), default=0)
    missing = [
        AttemptStatus(number=job.attempt, job=job.name, retry=retry_value(job))
        for job in run.jobs
        if job.attempt > newest
    ]
    return sorted([*attempts, *missing], key=lambda attempt: attempt.number)


def _with_end(attempt: AttemptStatus, run: ObservedRun, now: datetime) -> AttemptStatus:
    """Return `attempt` with its end, if its Job has ended or is gone."""
    if attempt.reason is not None:
        return attempt
    job = job_of(attempt, run.jobs)
    if job is None:
        return _without_job(attempt, run, f"its Job {attempt.job} is gone", now)
    seen = find_cause(job, attempt.cause, now)
    update = {"started_at": job.started_at or job.created_at, "cause": seen}
    started = attempt.model_copy(update=update)
    if job.deleting and not job.is_finished:
        return _without_job(started, run, f"its Job {job.name} was deleted", now)
    is_lost = any(pod.is_lost(now) for pod in job.pods)
    if not job.is_finished and not is_lost:
        return started
    end = read_time(job.finished_at) or now
    if job.complete:
        return ended(started, ExitClass.COMPLETE, "", end)
    return _ended_by(end_cause(job, seen), started, end)


def _without_job(
    attempt: AttemptStatus, run: ObservedRun, message: str, now: datetime
) -> AttemptStatus:
    """Return an attempt whose Job was deleted with its end: as seen before, if it was."""
    if run.spec.suspend:
        return ended(attempt, SUSPENDED, _BY_SPEC, now)
    if attempt.cause is not None:
        return _ended_by(attempt.cause, attempt, now)
    return ended(attempt, ExitClass.INFRASTRUCTURE, message, now)


def _ended_by(cause: AttemptCause, attempt: AttemptStatus, end: datetime) -> AttemptStatus:
    blamed = attempt.model_copy(update={"node": cause.node})
    return ended(blamed, cause.reason, cause.message, end)
