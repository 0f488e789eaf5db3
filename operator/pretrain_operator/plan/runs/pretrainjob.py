"""Plan a PretrainJob: admit it, follow its attempts, and plan the Job of the next one."""

from dataclasses import replace
from datetime import datetime, timedelta

from pretrain_api.conditions import ConditionType
from pretrain_api.formulas.steps import steps_of
from pretrain_api.problems import InvalidManifest
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, PretrainJobStatus
from pretrain_operator.admission.objects import object_problems, refusals
from pretrain_operator.admission.related_objects import related_objects
from pretrain_operator.admission.runs import AdmissionRequest, AdmissionResult, admit, keep_layout
from pretrain_operator.observed.clock import read_time
from pretrain_operator.observed.objects import ObservedObject, read_spec
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, find_condition, read_status
from pretrain_operator.plan.blocked import BLOCKING, blocked_state
from pretrain_operator.plan.plans import RunPlan
from pretrain_operator.plan.runs.attempt_ends import job_of
from pretrain_operator.plan.runs.next_attempt import plan_attempts
from pretrain_operator.plan.runs.observed_run import ObservedRun, find_profile, read_run
from pretrain_operator.plan.runs.training_run import plan_attempt_job


def plan_pretrainjob(observed: Observation, now: datetime) -> RunPlan:
    """Return the actions that are due for a run.

    For a run that has not started, the search for a layout takes up to a second.
    """
    owner, status = observed.owner, read_status(PretrainJobStatus, observed.owner)
    try:
        spec = read_spec(PretrainJobSpec, owner)
    except InvalidManifest:
        problems = refusals(object_problems(owner.key.kind, owner.key.name, owner.spec))
        return replace(_invalid(owner, problems), attempts=tuple(status.attempts))
    profile = find_profile(spec, owner.key.namespace, observed.related)
    admission = _admit(observed, spec, profile)
    if admission.errors and not has_started(observed):
        return replace(_invalid(owner, admission.errors), prediction=admission.plan)
    run = read_run(observed, admission.spec or spec, profile)
    plan = replace(
        plan_attempts(run, now),
        inputs=run.inputs,
        prediction=admission.plan,
        train_iters=steps_of(spec.training).count,
    )
    plan = _with_starting_job(_with_attempt_job(plan, run, now), run, observed, now)
    return _with_expiry(plan, run, now)


def needs_search(observed: Observation) -> bool:
    """Return whether the layout of the run may have to be searched for."""
    return not has_started(observed)


def has_started(observed: Observation) -> bool:
    """Return whether the run has had an attempt: then it keeps its layout and is not refused."""
    return bool(observed.jobs or read_status(PretrainJobStatus, observed.owner).attempts)


def _invalid(owner: ObservedObject, problems: list[str]) -> RunPlan:
    return RunPlan(blocked_state(owner, InvalidManifest(problems)))


def _admit(
    observed: Observation, spec: PretrainJobSpec, profile: ComputeProfileSpec | None
) -> AdmissionResult:
    key, status = observed.owner.key, read_status(PretrainJobStatus, observed.owner)
    if has_started(observed) and status.plan is not None:
        return keep_layout(spec, status.plan)
    related = related_objects(spec, key.namespace, observed.related, profile)
    return admit(AdmissionRequest(key.name, spec, related))


def _with_attempt_job(plan: RunPlan, run: ObservedRun, now: datetime) -> RunPlan:
    """Return `plan` with the Job of the attempt that is due; blocked if it cannot start."""
    if plan.due is None:
        return plan
    try:
        return replace(plan, create=plan_attempt_job(run, plan.due, plan.attempts, now))
    except BLOCKING as error:
        return plan.blocked(blocked_state(run.owner, error))


def _with_starting_job(
    plan: RunPlan, run: ObservedRun, observed: Observation, now: datetime
) -> RunPlan:
    """Return `plan` with the Job of the attempt that runs, until rank 0 reports its progress."""
    last = plan.attempts[-1] if plan.attempts else None
    job = job_of(last, run.jobs)
    has_pods = job is not None and bool(job.pods) and not job.suspended
    if last is None or last.reason is not None or not has_pods or observed.progress is not None:
        return plan
    try:
        return replace(plan, keep=plan_attempt_job(run, last.number, plan.attempts, now))
    except BLOCKING:
        return plan  # its inputs are gone since: what it reads cannot be told any more


def _with_expiry(plan: RunPlan, run: ObservedRun, now: datetime) -> RunPlan:
    """Return `plan` with the deletion of a finished object, once its status shows the end."""
    time_to_live = run.spec.ttl_after_finished
    if not plan.state.is_finished or time_to_live is None:
        return plan
    is_complete = plan.state.phase is Phase.COMPLETE
    kind = ConditionType.COMPLETE if is_complete else ConditionType.FAILED
    condition = find_condition(run.status.conditions, kind)
    is_shown = condition is not None and condition.status == "True"
    ended_at = read_time(condition.last_transition_time) if condition and is_shown else None
    if ended_at is not None and (now - ended_at).total_seconds() >= time_to_live:
        return replace(plan, delete_owner=True)
    return replace(plan, requeue_at=(ended_at or now) + timedelta(seconds=time_to_live))
