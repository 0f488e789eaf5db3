"""The state machine of stages: find the first unfinished stage of a data object, and plan it.

A stage is one Indexed Job, whose name has a digest of what its pods read. So a finished stage is
not repeated, an edited spec gets other Jobs, and a restarted operator continues where it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pretrain_api.conditions import Reason
from pretrain_api.reports import ExitReport
from pretrain_api.v1alpha1.data_status import ArtifactRef, DataStatus, StageStatus
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.pods import LOST_AFTER_SECONDS
from pretrain_operator.observed.states import Phase, State, last_failure
from pretrain_operator.plan.data.chains import Chain
from pretrain_operator.plan.data.stage_status import is_finished, stage_status
from pretrain_operator.plan.failures import (
    Failure,
    eviction_failure,
    first_failure,
    job_failure,
)
from pretrain_operator.plan.plans import DataPlan, JobSize, StageJob
from pretrain_operator.plan.retry import retry_hint
from pretrain_operator.plan.waiting import is_between_tasks, suspension, waiting_reason

_FINAL_REASONS = (Reason.USER_ERROR, Reason.BAD_DATA)
"""Reasons of failures that no other ComputeProfile heals."""


@dataclass(frozen=True)
class StageView:
    """One stage: the Job that it needs, the Job that exists, and its last status."""

    planned: StageJob
    job: ObservedJob | None
    previous: StageStatus | None
    artifact: ArtifactRef | None
    """The artifact, if this stage or an earlier one has named it."""
    is_first: bool
    is_last: bool

    @property
    def is_done(self) -> bool:
        """Return whether all its tasks have succeeded; its Job may be gone since."""
        if self.job is not None:
            return self.job.complete
        return self.previous is not None and is_finished(self.previous)

    @property
    def report(self) -> ExitReport | None:
        """Return a report of its pods: one with an artifact if there is one, else any."""
        pods = [pod for pod in self.job.pods if pod.phase == "Succeeded"] if self.job else []
        reports = [pod.report for pod in pods if pod.report is not None]
        return max(reports, key=lambda report: report.artifact is not None, default=None)

    @property
    def ends_chain(self) -> bool:
        """Return whether no stage follows: it is the last, or it found an existing artifact."""
        is_reused = self.is_first and self.report is not None and self.report.reused
        return self.is_last or is_reused

    @property
    def lacks_report(self) -> bool:
        """Return whether it is done, but the reports of its pods are gone."""
        return self.artifact is None or (self.ends_chain and self.report is None)

    @property
    def status(self) -> StageStatus:
        """Return its status."""
        return stage_status(self.planned, self.job, self.previous)

    @property
    def is_stale(self) -> bool:
        """Return whether its Job was created with another version of the ComputeProfile."""
        annotations = self.job.annotations if self.job else {}
        return annotations.get(PLACEMENT_ANNOTATION) != self.planned.placement.digest


def plan_stages(
    chain: Chain, jobs: Sequence[ObservedJob], status: DataStatus, now: datetime
) -> DataPlan:
    """Return the actions that are due, given the Jobs of the object and its last status.

    A failure in `status` stays, although its Job is gone.
    """
    *finished, current = _views(chain, {job.name: job for job in jobs}, status.stages)
    done = tuple(view.status for view in finished)
    if not current.is_done:
        plan = _unfinished(chain, current, last_failure(status.conditions), now)
    elif current.lacks_report:
        plan = _run_again(current)
    else:
        plan = _complete(current)
    plan = replace(_with_lost_pods(plan, current.job, now), stages=(*done, *plan.stages))
    first = (*finished, current)[0]
    is_named = first.is_done and first.artifact is not None
    views = (*finished, current)
    needed = _all_names(chain, first) if is_named else {view.planned.name for view in views}
    outdated = {
        job.name
        for job in jobs
        if not job.deleting and job.name not in needed and (is_named or not job.is_finished)
    }
    return replace(plan, delete=tuple(sorted({*plan.delete, *outdated})))


def _with_lost_pods(plan: DataPlan, job: ObservedJob | None, now: datetime) -> DataPlan:
    """Return `plan` with the pods to declare failed; their Job waits for their end otherwise."""
    leaving = [pod for pod in job.pods if pod.deleting and not pod.is_over] if job else []
    lost = tuple(pod.name for pod in leaving if pod.is_lost(now))
    if not leaving or lost:
        return replace(plan, lost=lost)
    # No watch reports that a node does not answer: the end of its pod may never come.
    return replace(plan, requeue_at=now + timedelta(seconds=LOST_AFTER_SECONDS))


def _views(
    chain: Chain, jobs: Mapping[str, ObservedJob], previous: Sequence[StageStatus]
) -> Iterator[StageView]:
    """Yield the stages in order, up to the first unfinished one, or to the end of the chain."""
    statuses = {stage.job: stage for stage in previous}
    artifact = chain.artifact
    for stage in chain.stages:
        planned = chain.job(stage, artifact)
        view = StageView(
            planned=planned,
            job=jobs.get(planned.name),
            previous=statuses.get(planned.name),
            artifact=artifact,
            is_first=stage == chain.stages[0],
            is_last=stage == chain.stages[-1],
        )
        if view.is_done:
            artifact = artifact or view.status.artifact
            view = replace(view, artifact=artifact)
        yield view
        if not view.is_done or view.lacks_report or view.ends_chain:
            return


def _all_names(chain: Chain, first: StageView) -> set[str]:
    """Return the names of the Jobs of all stages; `first` has named the artifact."""
    later = {chain.job(stage, first.artifact).name for stage in chain.stages[1:]}
    return {first.planned.name, *later}


def _complete(view: StageView) -> DataPlan:
    assert view.artifact is not None
    message = "found complete" if view.report and view.report.reused else "complete"
    return DataPlan(
        State(Phase.COMPLETE, Reason.COMPLETE, f"{message}: {view.artifact.uri}"),
        stages=(view.status,),
        artifact=view.artifact,
        report=view.report,
    )


def _run_again(view: StageView) -> DataPlan:
    """Run a finished stage again because the reports of its pods are gone."""
    stage, job = view.planned.stage, view.job
    if job is not None and any(pod.phase == "Succeeded" for pod in job.pods):
        message = (
            f"stage {stage} ended well, but its pods named no artifact; the image does not fit"
            " this operator: set spec.images.data of the ComputeProfile"
        )
        return DataPlan(State(Phase.FAILED, Reason.STAGE_FAILED, message))
    message = f"stage {stage} runs again: the reports of its pods are gone"
    state = State(Phase.RUNNING, Reason.STAGE_RUNNING, message)
    if job is None:
        return DataPlan(state, create=view.planned)
    return DataPlan(state, delete=(job.name,))


def _unfinished(chain: Chain, view: StageView, failure: State | None, now: datetime) -> DataPlan:
    """Return the actions that are due for the first unfinished stage."""
    planned, job = view.planned, view.job
    if job is None:
        if view.previous is not None and failure is not None:
            return DataPlan(failure, stages=(view.previous,))
        message = f"stage {planned.stage} starts"
        state = State(Phase.RUNNING, Reason.STAGE_RUNNING, message)
        fresh = replace(view, previous=None)
        return DataPlan(state, stages=(fresh.status,), create=planned)
    if job.failed or job.failing:
        return _failed(chain, view, failure, now)
    if eviction := eviction_failure(job):
        return _evicted(chain, view, eviction, now)
    if job.deleting:
        return _running(view, job, now, note=f"waits until the old Job {job.name} is gone")
    if view.is_stale and not job.has_started:
        return _replaced(view, job, now)
    plan = _running(view, job, now)
    if job.parallelism != planned.parallelism and not job.suspended:
        return replace(plan, resize=JobSize(job.name, planned.parallelism))
    return plan


def _running(view: StageView, job: ObservedJob, now: datetime, note: str = "") -> DataPlan:
    planned, status = view.planned, view.status
    if job.suspended and not note:
        message = f"stage {planned.stage}: {suspension(job)}"
        return DataPlan(State(Phase.QUEUED, Reason.QUEUED, message), stages=(status,))
    notes = [note, waiting := waiting_reason(job)]
    retried = first_failure(job)
    if retried is not None and not waiting:
        notes.append(f"task {retried.rank} is retried: {retried.message}")
    silent = sorted({str(pod.node) for pod in job.pods if pod.is_unreachable})
    if silent:
        notes.append(f"no answer from {', '.join(silent)}; its tasks run again elsewhere")
    # Tasks are independent: the stage makes progress while one pod runs.
    runs = not waiting or is_between_tasks(job, now)
    tasks = f"stage {planned.stage}: {status.succeeded} of {planned.tasks} tasks done"
    state = State(
        Phase.RUNNING,
        Reason.STAGE_RUNNING if runs else Reason.WAITING_FOR_PODS,
        "; ".join([tasks, *(text for text in notes if text)]),
    )
    is_starting = not job.deleting and any(not pod.has_started for pod in job.pods)
    return DataPlan(state, stages=(status,), keep=planned if is_starting else None)


def _replaced(view: StageView, job: ObservedJob, now: datetime) -> DataPlan:
    """Delete a Job that may not make progress because of its old ComputeProfile."""
    plan = _running(view, job, now, note="starts again: the ComputeProfile has changed")
    return replace(plan, delete=(job.name,))


def _failed(chain: Chain, view: StageView, recorded: State | None, now: datetime) -> DataPlan:
    job = view.job
    assert job is not None
    if view.previous is not None and recorded is not None and not job.pods:
        # The pods said why, and are gone: without them the failure would look like any other.
        if recorded.reason in _FINAL_REASONS:
            return DataPlan(recorded, stages=(view.previous,))
    failure = job_failure(job)
    if view.is_stale and job.failed and not failure.is_final:
        return _replaced(view, job, now)
    return _failed_with(chain, view, failure)


def _evicted(chain: Chain, view: StageView, failure: Failure, now: datetime) -> DataPlan:
    """Stop a Job whose pods are evicted too often; the pods stay, for the user to inspect."""
    assert view.job is not None
    if view.is_stale:
        return _replaced(view, view.job, now)
    stop = JobSize(view.job.name, 0) if view.job.parallelism else None
    return replace(_failed_with(chain, view, failure), resize=stop)


def _failed_with(chain: Chain, view: StageView, failure: Failure) -> DataPlan:
    planned = view.planned
    task = f", task {failure.rank}" if failure.rank is not None and planned.tasks > 1 else ""
    message = f"stage {planned.stage}{task}: {failure.message}"
    if failure.reason is Reason.OUT_OF_MEMORY:
        message += "; raise spec.pods.data.memory of the ComputeProfile, or spec.tasks"
    message += retry_hint(chain.item.owner)
    return DataPlan(State(Phase.FAILED, failure.reason, message), stages=(view.status,))
