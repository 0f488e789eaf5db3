"""Follow the attempts of a run: the state of the last one, and whether another one is due."""

from dataclasses import replace
from datetime import datetime, timedelta

from pretrain_api.conditions import Reason
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.observed.pods import LOST_AFTER_SECONDS, ObservedPod
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.placement import UNREACHABLE_SECONDS
from pretrain_operator.plan.plans import HURRY_SECONDS, RunPlan
from pretrain_operator.plan.retry import retry_hint, retry_value
from pretrain_operator.plan.runs.attempt_ends import (
    ended,
    final_report,
    job_of,
    observe_attempts,
    stopped_jobs,
)
from pretrain_operator.plan.runs.attempts import (
    REPLACED,
    SUSPENDED,
    GiveUp,
    decide_next_attempt,
    next_number,
)
from pretrain_operator.plan.runs.observed_run import ObservedRun
from pretrain_operator.plan.waiting import suspension, waiting_reason

_STARTING = State(Phase.RUNNING, Reason.ATTEMPT_STARTING)
_SUSPENDED = State(
    Phase.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true; set it to false to resume"
)


def plan_attempts(run: ObservedRun, now: datetime) -> RunPlan:
    """Return the state of the run, and the number of the attempt that is due, if one is."""
    attempts = observe_attempts(run, now)
    if run.finished is not None and not (run.has_grown or run.is_retried):
        return RunPlan(run.finished, attempts=attempts, delete=stopped_jobs(run))
    last = attempts[-1] if attempts else None
    job = job_of(last, run.jobs)
    plan = RunPlan(_STARTING, attempts=attempts, report=final_report(job), delete=stopped_jobs(run))
    if last is not None and last.reason == ExitClass.COMPLETE and not run.has_grown:
        message = f"complete after {last.number} attempt{'s' if last.number > 1 else ''}"
        return replace(plan, state=State(Phase.COMPLETE, Reason.COMPLETE, message))
    if last is not None and last.reason is None and job is not None:
        return _running(plan, run, job, now)
    if run.spec.suspend:
        return replace(plan, state=_SUSPENDED)
    ending = [pod for pod in run.pods if not pod.is_over and not pod.is_lost(now)]
    if ending:
        has_lost = any(pod.is_lost(now) for pod in run.pods)
        return replace(
            plan,
            state=_until_ended(ending[0], run.owner, last),
            requeue_at=now + timedelta(seconds=LOST_AFTER_SECONDS),
            hurry=tuple(pod.name for pod in ending if has_lost and _may_hurry(pod)),
        )
    return _next(plan, run, now)


def _may_hurry(pod: ObservedPod) -> bool:
    """Return whether a pod has more time to end than it needs without its peers."""
    return not pod.deleting or pod.grace_seconds > HURRY_SECONDS


def _until_ended(pod: ObservedPod, owner: ObservedObject, last: AttemptStatus | None) -> State:
    if last is None:
        message = f"waits until pod {pod.name} of an earlier {owner.key.title} has ended"
        return State(Phase.RUNNING, Reason.ATTEMPT_STARTING, message)
    message = f"waits until pod {pod.name} of the last attempt has ended"
    return State(Phase.RESTARTING, Reason.RESTARTING, message)


def _running(plan: RunPlan, run: ObservedRun, job: ObservedJob, now: datetime) -> RunPlan:
    last = plan.attempts[-1]
    if run.spec.suspend:
        return _stop(plan, ended(last, SUSPENDED, "suspended by spec.suspend", now), _SUSPENDED)
    is_stale = run.placement not in (None, job.annotations.get(PLACEMENT_ANNOTATION))
    if is_stale and not job.has_started and not job.failing:
        message = "starts again: the ComputeProfile has changed"
        state = State(Phase.RESTARTING, Reason.RESTARTING, message)
        end = ended(last, REPLACED, "the ComputeProfile changed before it ran", now)
        return _stop(plan, end, state)
    plan = replace(plan, state=_progressing(last, job), is_polled=leader(job) is not None)
    if any(pod.deleting and not pod.is_over for pod in job.pods):
        # No watch reports that a node does not answer: the end of its pod may never come.
        return replace(plan, requeue_at=now + timedelta(seconds=LOST_AFTER_SECONDS))
    return plan


def _stop(plan: RunPlan, end: AttemptStatus, state: State) -> RunPlan:
    """Stop the running attempt: no budget pays for it, and its pods get their grace period.

    Its Job is deleted by the next reconcile, after the status has the reason: otherwise, after a
    crash in between, the Job would look as if another client had deleted it.
    """
    return replace(plan, state=state, attempts=(*plan.attempts[:-1], end))


def progress_pod(jobs: tuple[ObservedJob, ...]) -> ObservedPod | None:
    """Return the pod that serves the progress of the newest attempt, if it runs."""
    newest = max(jobs, key=lambda job: job.attempt, default=None)
    return leader(newest) if newest is not None and not newest.is_finished else None


def leader(job: ObservedJob) -> ObservedPod | None:
    """Return pod 0 of `job`, if it runs."""
    pods = [pod for pod in job.pods if pod.rank == 0 and pod.phase == "Running" and pod.ip]
    return next((pod for pod in pods if not pod.deleting), None)


def _progressing(last: AttemptStatus, job: ObservedJob) -> State:
    if last.cause is not None or job.failing:
        why = last.cause.message if last.cause else job.failure_message
        message = f"attempt {last.number} ends: {why}"
        return State(Phase.RESTARTING, Reason.ATTEMPT_ENDED, message)
    if job.suspended:
        return State(Phase.QUEUED, Reason.QUEUED, suspension(job))
    if silent := [pod for pod in job.pods if pod.is_unreachable]:
        nodes = ", ".join(sorted({str(pod.node) for pod in silent}))
        message = (
            f"attempt {last.number}: no answer from {nodes}; the attempt ends once Kubernetes "
            f"gives pod {silent[0].name} up, after {UNREACHABLE_SECONDS} s"
        )
        return State(Phase.RUNNING, Reason.NODE_UNREACHABLE, message)
    waiting = waiting_reason(job)
    if waiting:
        return State(Phase.RUNNING, Reason.WAITING_FOR_PODS, waiting)
    running = sum(pod.phase == "Running" for pod in job.pods)
    if running < job.completions:
        message = f"attempt {last.number}: {running} of {job.completions} pods run"
        return State(Phase.RUNNING, Reason.ATTEMPT_STARTING, message)
    message = f"attempt {last.number} runs on {running} pods"
    return State(Phase.RUNNING, Reason.ATTEMPT_RUNNING, message)


def _next(plan: RunPlan, run: ObservedRun, now: datetime) -> RunPlan:
    budgets, retry = run.spec.recovery.budgets, retry_value(run.owner)
    decision = decide_next_attempt(plan.attempts, budgets, now, retry)
    if isinstance(decision, GiveUp):
        message = decision.message + retry_hint(run.owner)
        return replace(plan, state=State(Phase.FAILED, decision.reason, message))
    number = next_number(plan.attempts, run.jobs)
    last = plan.attempts[-1] if plan.attempts else None
    after = f" after attempt {last.number} ({last.reason}): {last.message}" if last else ""
    phase = Phase.RESTARTING if last else Phase.RUNNING
    reason = Reason.RESTARTING if last else Reason.ATTEMPT_STARTING
    due = decision.not_before
    if due is not None and due > now:
        message = f"attempt {number} starts at {format_time(due)},{after}"
        return replace(plan, state=State(phase, reason, message), requeue_at=due)
    state = State(phase, reason, f"attempt {number} starts{after}")
    return replace(plan, state=state, due=number)
