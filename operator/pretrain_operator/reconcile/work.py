"""Reconcile the data kinds: DataPipeline, Tokenizer and TokenDataset."""

from dataclasses import replace
from datetime import datetime

from pretrain_api.conditions import ConditionType, Reason
from pretrain_api.kinds import DATA_PIPELINE, TOKEN_DATASET, TOKENIZER
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_operator.admission.objects import object_problems, refusals
from pretrain_operator.admission.profiles import choose_profile
from pretrain_operator.build.stage_job import build_stage
from pretrain_operator.cluster.cluster import Cluster
from pretrain_operator.cluster.errors import NameConflict, Refused
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import Key, ObservedObject
from pretrain_operator.observed.states import DependencyNotReady, Phase, State
from pretrain_operator.observed.statuses import find_condition, read_status
from pretrain_operator.plan.name_conflicts import name_conflict
from pretrain_operator.plan.placement import Placement, plan_placement
from pretrain_operator.plan.secrets import missing_secrets
from pretrain_operator.plan.stages import WorkPlan, plan_stages
from pretrain_operator.plan.waiting import look_again_seconds
from pretrain_operator.plan.work import Work, WorkSpec, plan_chain
from pretrain_operator.reconcile.inputs import gather_inputs
from pretrain_operator.status.conditions import last_failure
from pretrain_operator.status.events import status_events
from pretrain_operator.status.wire import to_wire
from pretrain_operator.status.work import WORK_STATUSES, WorkOutcome, work_status

_SPECS: dict[str, type[WorkSpec]] = {
    kind.name: kind.spec  # type: ignore[misc]
    for kind in (DATA_PIPELINE, TOKENIZER, TOKEN_DATASET)
}


async def reconcile_work(cluster: Cluster, key: Key, now: datetime) -> float | None:
    """Bring an object one step further; return when to look again, in seconds, if at all."""
    owner = cluster.store.get(key)
    if owner is None or owner.deleting:
        return None
    previous = read_status(WORK_STATUSES[key.kind], owner)
    jobs = await cluster.jobs(owner, now)
    outcome = await _advance(cluster, owner, previous, jobs, now)
    status = work_status(previous, outcome, owner.generation, now)
    await cluster.write_status(owner, to_wire(status), status_events(previous, status), now)
    return outcome.plan.state.look_again_seconds or look_again_seconds(jobs, now)


async def _advance(
    cluster: Cluster,
    owner: ObservedObject,
    previous: DataStatus,
    jobs: tuple[ObservedJob, ...],
    now: datetime,
) -> WorkOutcome:
    try:
        work = _parse(cluster, owner)
    except InvalidManifest as error:
        state = State(Phase.INVALID, Reason.INVALID_SPEC, str(error))
        return WorkOutcome(WorkPlan(state), None)
    except DependencyNotReady as problem:
        return WorkOutcome(_without_inputs(owner, previous, problem), None)
    if previous.artifact is not None and previous.spec_digest == work.digest:
        done = f"complete: {previous.artifact.uri}"
        return WorkOutcome(WorkPlan(State(Phase.COMPLETE, Reason.COMPLETE, done)), work.digest)
    try:
        profile = choose_profile(work.spec.profile_ref, cluster.store.all("ComputeProfile"))
    except DependencyNotReady as problem:
        return WorkOutcome(WorkPlan(problem.state), work.digest)
    placement = plan_placement(profile, "data")
    plan = plan_stages(
        owner,
        plan_chain(work, placement.digest),
        jobs,
        previous.stages,
        last_failure(previous.conditions),
        now,
    )
    return WorkOutcome(await _carry_out(cluster, owner, plan, placement), work.digest)


def _parse(cluster: Cluster, owner: ObservedObject) -> Work:
    spec = parse(_SPECS[owner.key.kind], dict(owner.spec))
    if problems := refusals(object_problems(owner.key.kind, owner.key.name, spec)):
        raise InvalidManifest(problems)
    return Work(owner, spec, gather_inputs(cluster.store, owner.key, spec))


def _without_inputs(
    owner: ObservedObject, previous: DataStatus, problem: DependencyNotReady
) -> WorkPlan:
    """Return what to do without the inputs: what is finished stays so though they were deleted."""
    ready = find_condition(previous.conditions, ConditionType.READY)
    is_finished = (
        previous.artifact is not None
        and ready is not None
        and ready.status == "True"
        and previous.observed_generation == owner.generation
    )
    if is_finished and problem.state.reason is Reason.DEPENDENCY_NOT_FOUND:
        return WorkPlan(State(Phase.COMPLETE, Reason.COMPLETE, previous.message))
    return WorkPlan(problem.state)


async def _carry_out(
    cluster: Cluster, owner: ObservedObject, plan: WorkPlan, placement: Placement
) -> WorkPlan:
    """Do what `plan` says; return it with what became of it."""
    try:
        await cluster.delete_jobs(owner, plan.delete)
        if plan.resize is not None:
            await cluster.resize_job(owner, *plan.resize)
        if plan.create is None:
            return plan
        namespace = owner.key.namespace
        missing = await cluster.missing_secrets(namespace, plan.create.secrets)
        if state := missing_secrets(namespace, missing):
            return replace(plan, state=state)
        await cluster.apply(owner, *build_stage(owner, plan.create, placement))
    except NameConflict as other:
        return replace(plan, state=name_conflict(owner, other.kind, other.metadata))
    except Refused as refusal:
        message = f"the API server refuses: {refusal}"
        return replace(plan, state=State(Phase.BLOCKED, Reason.CHILD_REJECTED, message))
    return plan
