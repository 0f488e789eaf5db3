"""What a PretrainJob needs now: its attempts, the next one, and where the run stands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pretrain_api.conditions import Reason
from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.v1alpha1.pretrainjob import (
    AttemptStatus,
    PretrainJobSpec,
    PretrainJobStatus,
)
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.observed.pods import LOST_AFTER_SECONDS, ObservedPod
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.attempts import (
    REPLACED,
    SUSPENDED,
    GiveUp,
    attempt_end,
    decide_next_attempt,
    keep_attempts,
)
from pretrain_operator.plan.failures import most_informative
from pretrain_operator.plan.retry import retry_hint, retry_value
from pretrain_operator.plan.waiting import waiting_reason

COMPLETE_PHASE = "complete"
"""`progress.phase` of a complete run."""


@dataclass(frozen=True)
class RunPlan:
    """What has to be done now for a PretrainJob."""

    state: State
    attempts: tuple[AttemptStatus, ...]
    start: int | None = None
    """Number of the attempt to start."""
    delete: tuple[str, ...] = ()
    """Jobs that have to end."""
    report: ExitReport | None = None
    """Report of pod 0 of the newest attempt, if it has ended."""
    leader: ObservedPod | None = None
    """The pod that serves progress, while it runs."""
    wait_seconds: float | None = None
    """When to look again, although nothing has changed by then."""


@dataclass(frozen=True)
class ObservedRun:
    """What is observed of a PretrainJob."""

    owner: ObservedObject
    spec: PretrainJobSpec
    status: PretrainJobStatus
    jobs: tuple[ObservedJob, ...]
    pods: tuple[ObservedPod, ...]
    """All its pods, also of Jobs that are gone, and those of an earlier object of its name."""
    placement: str | None
    """Digest of the current placement. `None` if the profile cannot be read now."""
    finished: State | None
    """How the run ended, if the last status says that it did."""

    @property
    def is_retried(self) -> bool:
        """Return whether the user wants a run that failed to be tried again."""
        attempts = self.status.attempts
        return (
            self.finished is not None
            and self.finished.phase is Phase.FAILED
            and bool(attempts)
            and attempts[-1].retry != retry_value(self.owner)
        )

    @property
    def has_grown(self) -> bool:
        """Return whether a complete run is asked for more tokens than it was."""
        progress, attempts = self.status.progress, self.status.attempts
        return (
            progress is not None
            and progress.phase == COMPLETE_PHASE
            and bool(attempts)
            and attempts[-1].number == progress.attempt
            and 0 < progress.total_steps < self.spec.training.train_iters
        )


def plan_run(observed: ObservedRun, now: datetime) -> RunPlan:
    """Return what to do now."""
    attempts = _note_jobs(observed.status.attempts, observed.jobs)
    attempts = keep_attempts(
        [_note_end(attempt, observed, now) for attempt in attempts],
        observed.spec.recovery.budgets,
    )
    if observed.finished is not None and not (observed.has_grown or observed.is_retried):
        return RunPlan(observed.finished, attempts)
    last = attempts[-1] if attempts else None
    job = _job_of(last, observed.jobs)
    plan = RunPlan(_NOTHING, attempts, report=_report(job))
    if last is not None and last.reason == ExitClass.COMPLETE and not observed.has_grown:
        done = f"complete after {last.number} attempt{'s' if last.number > 1 else ''}"
        return replace(plan, state=State(Phase.COMPLETE, Reason.COMPLETE, done))
    if last is not None and last.reason is None and job is not None:
        return _running(plan, observed, (last, job), now)
    if observed.spec.suspend:
        return replace(plan, state=_HELD)
    ending = [pod for pod in observed.pods if not pod.is_over and not pod.is_lost(now)]
    if ending:
        state = _until_ended(ending[0], observed.owner, last)
        return replace(plan, state=state, wait_seconds=LOST_AFTER_SECONDS)
    return _next(plan, observed, now)


def _until_ended(pod: ObservedPod, owner: ObservedObject, last: AttemptStatus | None) -> State:
    if last is None:
        message = f"waits until pod {pod.name} of an earlier {owner.key.title} has ended"
        return State(Phase.RUNNING, Reason.ATTEMPT_STARTING, message)
    message = f"waits until pod {pod.name} of the last attempt has ended"
    return State(Phase.RESTARTING, Reason.RESTARTING, message)


_NOTHING = State(Phase.RUNNING, Reason.ATTEMPT_STARTING)
_HELD = State(Phase.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true; set it to false to go on")


def _note_jobs(
    attempts: Sequence[AttemptStatus], jobs: Sequence[ObservedJob]
) -> tuple[AttemptStatus, ...]:
    """Return the attempts of the status, and those whose Job was made just before a crash."""
    known = {attempt.number for attempt in attempts}
    found = [
        AttemptStatus(number=job.attempt, job=job.name, retry=job.annotations.get(RETRY_ANNOTATION))
        for job in jobs
        if job.attempt and job.attempt not in known
    ]
    return tuple(sorted([*attempts, *found], key=lambda attempt: attempt.number))


def _job_of(attempt: AttemptStatus | None, jobs: Sequence[ObservedJob]) -> ObservedJob | None:
    return next((job for job in jobs if attempt and job.name == attempt.job), None)


def _note_end(attempt: AttemptStatus, observed: ObservedRun, now: datetime) -> AttemptStatus:
    """Return `attempt` with its end, if its Job has ended or is gone."""
    if attempt.reason is not None:
        return attempt
    job = _job_of(attempt, observed.jobs)
    if job is None:
        return _ended(attempt, ExitClass.INFRASTRUCTURE, f"its Job {attempt.job} is gone", now)
    started = attempt.model_copy(update={"started_at": job.started_at or job.created_at})
    if job.deleting:
        if observed.spec.suspend:
            return _ended(started, SUSPENDED, "held by spec.suspend", now)
        return _ended(started, ExitClass.INFRASTRUCTURE, f"its Job {job.name} was deleted", now)
    if not job.is_finished and not _is_abandoned(job, now):
        return started
    failure = attempt_end(job)
    at = job.finished_at or format_time(now)
    if failure is None:
        return started.model_copy(update={"reason": ExitClass.COMPLETE.value, "ended_at": at})
    return started.model_copy(
        update={"reason": failure.exit_class, "message": failure.message, "ended_at": at}
    )


def _is_abandoned(job: ObservedJob, now: datetime) -> bool:
    """Return whether a failing Job waits only for pods of nodes that do not answer."""
    alive = [pod for pod in job.pods if not pod.is_over]
    return job.failing and bool(alive) and all(pod.is_lost(now) for pod in alive)


def _ended(attempt: AttemptStatus, reason: str, message: str, now: datetime) -> AttemptStatus:
    update = {"reason": str(reason), "message": message, "ended_at": format_time(now)}
    return attempt.model_copy(update=update)


def _report(job: ObservedJob | None) -> ExitReport | None:
    """Return what the pods of `job` said at their end: pod 0 knows most."""
    pods = sorted(job.pods, key=lambda pod: pod.rank) if job else []
    reports = [pod.report for pod in pods if pod.report is not None]
    return next((r for r in reports if r.training or r.checkpoint), reports[0] if reports else None)


def _running(
    plan: RunPlan,
    observed: ObservedRun,
    current: tuple[AttemptStatus, ObservedJob],
    now: datetime,
) -> RunPlan:
    last, job = current
    if observed.spec.suspend:
        end = _ended(last, SUSPENDED, "held by spec.suspend", now)
        return _stop(plan, end, _HELD)
    stale = observed.placement not in (None, job.annotations.get(PLACEMENT_ANNOTATION))
    if stale and not job.has_started and not job.failing:
        changed = State(
            Phase.RESTARTING, Reason.RESTARTING, "starts again: the ComputeProfile has changed"
        )
        end = _ended(last, REPLACED, "the ComputeProfile changed before it ran", now)
        return _stop(plan, end, changed)
    return replace(plan, state=_progressing(last, job), leader=_leader(job))


def _stop(plan: RunPlan, end: AttemptStatus, state: State) -> RunPlan:
    """End the running attempt on purpose: uncharged, its pods get their grace period."""
    attempts = (*plan.attempts[:-1], end)
    return replace(plan, state=state, attempts=attempts, delete=(end.job,))


def _leader(job: ObservedJob) -> ObservedPod | None:
    pods = [pod for pod in job.pods if pod.rank == 0 and pod.phase == "Running" and pod.ip]
    return next((pod for pod in pods if not pod.deleting), None)


def _progressing(last: AttemptStatus, job: ObservedJob) -> State:
    failure = most_informative(job.pods)
    if failure is not None or job.failing:
        why = failure.message if failure else job.failure_message
        message = f"attempt {last.number} ends: {why}"
        return State(Phase.RESTARTING, Reason.ATTEMPT_ENDED, message)
    if job.suspended:
        message = f"Job {job.name} is held by its queue until there is room"
        return State(Phase.SUSPENDED, Reason.SUSPENDED, message)
    waiting = waiting_reason(job)
    if waiting:
        return State(Phase.RUNNING, Reason.WAITING_FOR_PODS, waiting)
    running = sum(pod.phase == "Running" for pod in job.pods)
    if running < job.completions:
        message = f"attempt {last.number}: {running} of {job.completions} pods run"
        return State(Phase.RUNNING, Reason.ATTEMPT_STARTING, message)
    return State(
        Phase.RUNNING, Reason.ATTEMPT_RUNNING, f"attempt {last.number} runs on {running} pods"
    )


def _next(plan: RunPlan, observed: ObservedRun, now: datetime) -> RunPlan:
    decision = decide_next_attempt(
        plan.attempts,
        observed.jobs,
        observed.spec.recovery.budgets,
        now,
        retry_value(observed.owner),
    )
    if isinstance(decision, GiveUp):
        message = decision.message + retry_hint(observed.owner)
        state = State(Phase.FAILED, decision.reason, message)
        return replace(plan, state=state)
    last = plan.attempts[-1] if plan.attempts else None
    why = f" after attempt {last.number} ({last.reason}): {last.message}" if last else ""
    phase = Phase.RESTARTING if last else Phase.RUNNING
    reason = Reason.RESTARTING if last else Reason.ATTEMPT_STARTING
    due = decision.not_before
    later = f" at {format_time(due)}," if due is not None and due > now else ""
    state = State(phase, reason, f"attempt {decision.number} starts{later}{why}")
    if due is not None and due > now:
        return replace(plan, state=state, wait_seconds=(due - now).total_seconds())
    return replace(plan, state=state, start=decision.number)
