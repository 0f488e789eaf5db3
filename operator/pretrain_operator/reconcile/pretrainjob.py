"""Reconcile PretrainJobs: one attempt at a time, until the run is complete or given up."""

from dataclasses import replace
from datetime import datetime

from pretrain_api.conditions import Reason
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import (
    AttemptStatus,
    PretrainJobSpec,
    PretrainJobStatus,
    RunInputs,
)
from pretrain_operator.admission.objects import object_problems, refusals
from pretrain_operator.admission.profiles import choose_profile
from pretrain_operator.build.service import build_service
from pretrain_operator.build.trainer_job import build_attempt, trainer_secrets
from pretrain_operator.cluster.cluster import Cluster
from pretrain_operator.cluster.errors import NameConflict, Refused
from pretrain_operator.observed.clock import format_time, seconds_between
from pretrain_operator.observed.objects import Key, ObservedObject
from pretrain_operator.observed.states import DependencyNotReady, Phase, State
from pretrain_operator.observed.statuses import read_status
from pretrain_operator.plan.name_conflicts import name_conflict
from pretrain_operator.plan.names import attempt_job_name
from pretrain_operator.plan.placement import plan_placement
from pretrain_operator.plan.pretrainjob import ObservedRun, RunPlan, plan_run
from pretrain_operator.plan.retry import retry_value
from pretrain_operator.plan.run_inputs import pin_inputs, training_run
from pretrain_operator.plan.secrets import missing_secrets
from pretrain_operator.plan.waiting import look_again_seconds
from pretrain_operator.reconcile.admission import admit_run
from pretrain_operator.reconcile.run_inputs import open_inputs, pinned_inputs
from pretrain_operator.status.conditions import last_end
from pretrain_operator.status.events import status_events
from pretrain_operator.status.pretrainjob import RunOutcome, run_status
from pretrain_operator.status.wire import to_wire


async def reconcile_run(cluster: Cluster, key: Key, now: datetime) -> float | None:
    """Bring a run one step further; return when to look again, in seconds, if at all."""
    owner = cluster.store.get(key)
    if owner is None or owner.deleting:
        cluster.progress.forget(key)
        return None
    previous = read_status(PretrainJobStatus, owner)
    try:
        spec = parse(PretrainJobSpec, dict(owner.spec))
    except InvalidManifest:
        problems = refusals(object_problems(key.kind, key.name, owner.spec))
        plan = RunPlan(_invalid(problems), tuple(previous.attempts))
        await _write(cluster, owner, previous, RunOutcome(plan, None, None, 0), now)
        return None
    observed = await _observe(cluster, owner, spec, previous, now)
    outcome = await _advance(cluster, observed, now)
    await _write(cluster, owner, previous, outcome, now)
    return await _look_again(cluster, observed, outcome.run, now)


async def _write(
    cluster: Cluster,
    owner: ObservedObject,
    previous: PretrainJobStatus,
    outcome: RunOutcome,
    now: datetime,
) -> None:
    status = run_status(previous, outcome, owner.generation, now)
    await cluster.write_status(owner, to_wire(status), status_events(previous, status), now)


async def _advance(cluster: Cluster, observed: ObservedRun, now: datetime) -> RunOutcome:
    owner, spec, previous = observed.owner, observed.spec, observed.status
    has_started = bool(observed.jobs or previous.attempts)
    earlier = previous.plan if has_started else None
    verdict = await admit_run(cluster.store, owner.key, spec, earlier)
    if not has_started and verdict.errors:
        refused = RunPlan(_invalid(verdict.errors), ())
        return RunOutcome(refused, None, None, 0, verdict.plan)
    outcome = await _run(cluster, owner, verdict.spec or spec, previous, observed, now)
    return replace(outcome, plan=verdict.plan)


async def _run(
    cluster: Cluster,
    owner: ObservedObject,
    spec: PretrainJobSpec,
    previous: PretrainJobStatus,
    observed: ObservedRun,
    now: datetime,
) -> RunOutcome:
    plan = plan_run(observed, now)
    await cluster.delete_jobs(owner, plan.delete)
    inputs = pinned_inputs(previous, observed.jobs)
    if plan.start is not None:
        plan, inputs = await _start(cluster, owner, spec, plan, inputs, now)
    if plan.leader is None:
        cluster.progress.forget(owner.key)
        return RunOutcome(plan, inputs, None, spec.training.train_iters)
    progress = await cluster.progress.read(owner.key, plan.leader)
    return RunOutcome(plan, inputs, progress, spec.training.train_iters)


async def _observe(
    cluster: Cluster,
    owner: ObservedObject,
    spec: PretrainJobSpec,
    previous: PretrainJobStatus,
    now: datetime,
) -> ObservedRun:
    jobs = await cluster.jobs(owner, now)
    try:
        placement = plan_placement(_profile(cluster, spec), "trainer", _devices(spec)).digest
    except DependencyNotReady:
        placement = None
    return ObservedRun(
        owner=owner,
        spec=spec,
        status=previous,
        jobs=jobs,
        pods=cluster.store.pods(owner),
        placement=placement,
        finished=_finished(owner, previous),
    )


def _finished(owner: ObservedObject, previous: PretrainJobStatus) -> State | None:
    """Return how the run ended; a failure is thought over when the user changes the spec."""
    end = last_end(previous.conditions)
    is_edited = previous.observed_generation != owner.generation
    return None if end and end.phase is Phase.FAILED and is_edited else end


def _profile(cluster: Cluster, spec: PretrainJobSpec) -> ComputeProfileSpec:
    return choose_profile(spec.profile_ref, cluster.store.all("ComputeProfile"))


def _devices(spec: PretrainJobSpec) -> int | None:
    return spec.parallelism.gpus_per_node


def _invalid(problems: list[str]) -> State:
    return State(Phase.INVALID, Reason.INVALID_SPEC, "; ".join(problems))


async def _start(
    cluster: Cluster,
    owner: ObservedObject,
    spec: PretrainJobSpec,
    plan: RunPlan,
    pinned: RunInputs | None,
    now: datetime,
) -> tuple[RunPlan, RunInputs | None]:
    """Start the attempt that is due; return the plan with what became of it, and the inputs."""
    assert plan.start is not None
    held = replace(plan, start=None)
    try:
        profile = _profile(cluster, spec)
        opened = open_inputs(cluster.store, owner, spec, pinned)
        inputs = pinned or pin_inputs(spec, opened)
        run = training_run(owner, spec, profile, (inputs, opened), plan.start)
        missing = await cluster.missing_secrets(owner.key.namespace, trainer_secrets(run))
        if state := missing_secrets(owner.key.namespace, missing):
            return replace(held, state=state), pinned
        placement = plan_placement(profile, "trainer", _devices(spec))
        children = build_service(owner), *build_attempt(owner, run, placement)
        await cluster.apply(owner, *children)
    except InvalidManifest as error:
        return replace(held, state=_invalid(error.problems)), pinned
    except DependencyNotReady as problem:
        return replace(held, state=problem.state), pinned
    except NameConflict as other:
        taken = name_conflict(owner, other.kind, other.metadata)
        return replace(held, state=taken), pinned
    except Refused as refusal:
        message = f"the API server refuses attempt {plan.start}: {refusal}"
        blocked = State(Phase.BLOCKED, Reason.CHILD_REJECTED, message)
        return replace(held, state=blocked), pinned
    started = AttemptStatus(
        number=plan.start,
        job=attempt_job_name(owner.key.name, plan.start),
        started_at=format_time(now),
        retry=retry_value(owner),
    )
    return replace(plan, attempts=(*plan.attempts, started)), inputs


async def _look_again(
    cluster: Cluster, observed: ObservedRun, plan: RunPlan, now: datetime
) -> float | None:
    if plan.state.is_finished:
        return await _expire(cluster, observed.owner, observed.spec, now)
    if plan.leader is not None:
        return cluster.progress.interval_seconds
    again = plan.wait_seconds or plan.state.look_again_seconds
    return again or look_again_seconds(observed.jobs, now)


async def _expire(
    cluster: Cluster, owner: ObservedObject, spec: PretrainJobSpec, now: datetime
) -> float | None:
    """Delete a finished object whose time is over; return how long it has left."""
    if spec.ttl_after_finished is None:
        return None
    current = cluster.store.get(owner.key) or owner
    status = read_status(PretrainJobStatus, current)
    ends = [c for c in status.conditions if c.type in ("Complete", "Failed") and c.status == "True"]
    if not ends:
        return 1.0
    left = spec.ttl_after_finished - seconds_between(ends[0].last_transition_time, now)
    if left > 0:
        return left
    await cluster.delete_object(current)
    return None
