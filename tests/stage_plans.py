"""Plan the stages of a DataPipeline from Jobs and a status, as its reconciles do."""

from collections.abc import Sequence
from typing import Any

from builders import (
    NOW,
    artifact,
    complete_job,
    make_object,
    parsed_pipeline,
    parsed_profile,
    succeeded_pod,
)
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.plan.data.chains import plan_chain
from pretrain_operator.plan.data.objects import DataObject
from pretrain_operator.plan.data.stages import plan_stages
from pretrain_operator.plan.placement import plan_placement
from pretrain_operator.plan.plans import DataPlan, StageJob
from pretrain_operator.status.conditions import build_conditions, state_conditions

PLACEMENT = plan_placement(parsed_profile(), "data")
PLACED = {PLACEMENT_ANNOTATION: PLACEMENT.digest}
"""Annotations of a Job that was created with the current ComputeProfile."""


def plan(
    jobs: Sequence[ObservedJob] = (),
    status: DataStatus | None = None,
    owner: ObservedObject | None = None,
    **spec: Any,
) -> DataPlan:
    """Return the plan of a DataPipeline."""
    item = DataObject(owner or make_object("DataPipeline"), parsed_pipeline(**spec), {})
    return plan_stages(plan_chain(item, PLACEMENT), jobs, status or DataStatus(), NOW)


def first_job(**spec: Any) -> StageJob:
    """Return the Job of the first stage."""
    return created(plan(**spec))


def created(plan: DataPlan) -> StageJob:
    """Return the Job that a plan creates."""
    assert isinstance(plan.create, StageJob)
    return plan.create


def status_after(plan: DataPlan) -> DataStatus:
    """Return the status that is written for a plan."""
    conditions = build_conditions(state_conditions(plan.state), [], 1, NOW)
    return DataStatus(stages=list(plan.stages), conditions=conditions)


def finish(job: StageJob, **report: Any) -> ObservedJob:
    """Return a Job whose pods have succeeded; pod 0 has left `report`."""
    pods = [
        succeeded_pod(rank, job.name, seconds=1.0, counts={"read": 5}) for rank in range(job.tasks)
    ]
    if report:
        pods[0] = succeeded_pod(0, job.name, **report)
    return complete_job(job.name, pods, stage=job.stage, annotations=PLACED)


def run_to_end(**spec: Any) -> tuple[list[ObservedJob], list[DataPlan]]:
    """Let every created Job succeed, until no more are created; return all Jobs and plans."""
    jobs: list[ObservedJob] = []
    plans: list[DataPlan] = []
    while True:
        plans.append(plan(jobs, **spec))
        job = plans[-1].create
        if not isinstance(job, StageJob):
            return jobs, plans
        report = {"artifact": artifact()} if job.stage in ("list", "report") else {}
        jobs.append(finish(job, **report))
