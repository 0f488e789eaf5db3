"""Plan a PretrainJob: admit it, follow its attempts, and plan the Job of the next one."""

from dataclasses import replace
from datetime import datetime

from pretrain_api.conditions import ConditionType
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, PretrainJobStatus
from pretrain_operator.admission.objects import object_problems, refusals
from pretrain_operator.admission.related_objects import related_objects
from pretrain_operator.admission.runs import AdmissionRequest, AdmissionResult, admit, keep_layout
from pretrain_operator.observed.clock import read_time
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, find_condition, read_status
from pretrain_operator.plan.blocked import BLOCKING, blocked_state
from pretrain_operator.plan.plans import RunPlan
from pretrain_operator.plan.retry import retry_value
from pretrain_operator.plan.runs.next_attempt import plan_attempts
from pretrain_operator.plan.runs.observed_run import ObservedRun, last_end_of, read_run
from pretrain_operator.plan.runs.training_run import plan_attempt_job
from pretrain_operator.plan.secrets import hold_for_secrets

_SOON_SECONDS = 1.0
"""Least time between the end of a run and its deletion: its status and Events report the end."""


def plan_pretrainjob(observed: Observation, now: datetime) -> RunPlan:
    """Return the actions that are due for a run.

    For a run that has not started, the search for a layout takes up to a second.
    """
    owner, status = observed.owner, read_status(PretrainJobStatus, observed.owner)
    try:
        spec = parse(PretrainJobSpec, dict(owner.spec))
    except InvalidManifest:
        problems = refusals(object_problems(owner.key.kind, owner.key.name, owner.spec))
        return replace(_invalid(owner, problems), attempts=tuple(status.attempts))
    admission = _admit(observed, spec, status)
    if admission.errors and not has_started(observed):
        return replace(_invalid(owner, admission.errors), prediction=admission.plan)
    run = read_run(observed, admission.spec or spec, status)
    plan = replace(
        plan_attempts(run, now),
        inputs=run.inputs,
        prediction=admission.plan,
        train_iters=spec.training.train_iters,
    )
    plan = hold_for_secrets(_with_attempt_job(plan, run, now), observed)
    return _with_requeue(plan, run, observed, now)


def needs_search(observed: Observation) -> bool:
    """Return whether the layout of the run may have to be searched for."""
    return not has_started(observed)


def has_started(observed: Observation) -> bool:
    """Return whether the run has had an attempt: then it keeps its layout and is not refused."""
    return bool(observed.jobs or read_status(PretrainJobStatus, observed.owner).attempts)


def is_settled(observed: Observation) -> bool:
    """Return whether the run has finished and was not changed since: no Job follows."""
    owner, status = observed.owner, read_status(PretrainJobStatus, observed.owner)
    is_same = status.observed_generation == owner.generation
    last = status.attempts[-1] if status.attempts else None
    is_retried = last is not None and last.retry != retry_value(owner)
    return is_same and not is_retried and last_end_of(owner, status) is not None


def _invalid(owner: ObservedObject, problems: list[str]) -> RunPlan:
    return RunPlan(blocked_state(owner, InvalidManifest(problems)))


def _admit(
    observed: Observation, spec: PretrainJobSpec, status: PretrainJobStatus
) -> AdmissionResult:
    if has_started(observed) and status.plan is not None:
        return keep_layout(spec, status.plan)
    key = observed.owner.key
    related = related_objects(spec, key.namespace, observed.related)
    return admit(AdmissionRequest(key.name, spec, related))


def _with_attempt_job(plan: RunPlan, run: ObservedRun, now: datetime) -> RunPlan:
    """Return `plan` with the Job of the attempt that is due; blocked if it cannot start."""
    if plan.due is None:
        return plan
    try:
        return replace(plan, create=plan_attempt_job(run, plan.due, now))
    except BLOCKING as error:
        return plan.blocked(blocked_state(run.owner, error))


def _with_requeue(plan: RunPlan, run: ObservedRun, observed: Observation, now: datetime) -> RunPlan:
    """Return `plan` with what becomes due with time: the deletion of the object, or a poll."""
    time_to_live = run.spec.ttl_after_finished
    if plan.state.is_finished and time_to_live is not None:
        age = _seconds_since_end(plan, run, now)
        if age is not None and age >= time_to_live:
            return replace(plan, delete_owner=True)
        left = max(_SOON_SECONDS, time_to_live - (age or 0.0))
        return replace(plan, requeue_after_seconds=left)
    if plan.is_polled:
        return replace(plan, requeue_after_seconds=observed.poll_seconds)
    return plan


def _seconds_since_end(plan: RunPlan, run: ObservedRun, now: datetime) -> float | None:
    """Return the seconds since the end of the run; `None` until its status reports that."""
    is_complete = plan.state.phase is Phase.COMPLETE
    kind = ConditionType.COMPLETE if is_complete else ConditionType.FAILED
    condition = find_condition(run.status.conditions, kind)
    if condition is None or condition.status != "True":
        return None
    end = read_time(condition.last_transition_time)
    return (now - end).total_seconds() if end else None
