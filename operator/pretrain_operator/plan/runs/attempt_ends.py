"""How the attempts of a run ended, according to their Jobs."""

from collections.abc import Sequence
from datetime import datetime

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.plan.failures import job_failure
from pretrain_operator.plan.retry import retry_value
from pretrain_operator.plan.runs.attempts import REPLACED, SUSPENDED, keep_attempts
from pretrain_operator.plan.runs.observed_run import ObservedRun

_BY_SPEC = "suspended by spec.suspend"


def observe_attempts(run: ObservedRun, now: datetime) -> tuple[AttemptStatus, ...]:
    """Return the attempts of the last status, and of later Jobs, with how they ended."""
    attempts = [_with_end(attempt, run, now) for attempt in _all_attempts(run)]
    return keep_attempts(attempts, run.spec.recovery.budgets)


def stopped_jobs(run: ObservedRun) -> tuple[str, ...]:
    """Return the running Jobs of attempts that the operator has stopped."""
    stopped = {item.job for item in run.status.attempts if item.reason in (SUSPENDED, REPLACED)}
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
    update = {"reason": str(reason), "message": message, "ended_at": format_time(now)}
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
        if run.spec.suspend:
            return ended(attempt, SUSPENDED, _BY_SPEC, now)
        return ended(attempt, ExitClass.INFRASTRUCTURE, f"its Job {attempt.job} is gone", now)
    started = attempt.model_copy(update={"started_at": job.started_at or job.created_at})
    if job.deleting and not job.is_finished:
        if run.spec.suspend:
            return ended(started, SUSPENDED, _BY_SPEC, now)
        return ended(started, ExitClass.INFRASTRUCTURE, f"its Job {job.name} was deleted", now)
    if not job.is_finished and not _is_abandoned(job, now):
        return started
    end = job.finished_at or format_time(now)
    if job.complete:
        return started.model_copy(update={"reason": ExitClass.COMPLETE.value, "ended_at": end})
    failure = job_failure(job)
    return started.model_copy(
        update={"reason": failure.exit_class, "message": failure.message, "ended_at": end}
    )


def _is_abandoned(job: ObservedJob, now: datetime) -> bool:
    """Return whether a failing Job waits only for pods on nodes that do not answer."""
    alive = [pod for pod in job.pods if not pod.is_over]
    return job.failing and bool(alive) and all(pod.is_lost(now) for pod in alive)
