"""The stage machine of the data kinds: which Job comes next, and where the whole work stands.

A stage is one Indexed Job, called after a digest of all that it is told. So the same work is
never done twice, a changed spec gets other Jobs, and a restarted operator finds its place again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pretrain_api.conditions import Reason
from pretrain_api.digests import digest
from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_api.reports import ExitReport
from pretrain_api.runs import Run
from pretrain_api.v1alpha1.data_status import ArtifactRef, StageStatus
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.failures import (
    Failure,
    eviction_failure,
    job_failure,
    most_informative,
)
from pretrain_operator.plan.names import stage_job_name
from pretrain_operator.plan.retry import retry_hint
from pretrain_operator.plan.stage_status import stage_status
from pretrain_operator.plan.waiting import is_between_tasks, waiting_reason


@dataclass(frozen=True)
class StageJob:
    """The Job of one stage, before it is a manifest."""

    stage: str
    name: str
    run: Run
    program: str
    """Module that its pods run."""
    arguments: tuple[str, ...]
    tasks: int
    parallelism: int
    secrets: tuple[str, ...]
    digest: str
    """Digest of what it computes, for its label."""


@dataclass(frozen=True)
class Chain:
    """The stages of one object: their names, and how each becomes a Job.

    Later stages are told the artifact that the first one named.
    """

    stages: tuple[str, ...]
    build: Callable[[str, ArtifactRef | None], StageJob]
    placement: str
    """Digest of the placement of its pods."""
    artifact: ArtifactRef | None = None
    """The artifact, where it is known before the first stage has run."""


@dataclass(frozen=True)
class WorkPlan:
    """What has to be done now for an object that produces an artifact."""

    state: State
    stages: tuple[StageStatus, ...] = ()
    create: StageJob | None = None
    resize: tuple[str, int] | None = None
    """Job whose parallelism has to become another."""
    delete: tuple[str, ...] = ()
    """Jobs that are not needed any more."""
    artifact: ArtifactRef | None = None
    """The artifact that is complete now."""
    report: ExitReport | None = None
    """The report of the stage that completed it."""


def stage_job(
    owner: ObservedObject, run: Run, stage: str, program: str, *arguments: str, **rest: object
) -> StageJob:
    """Return the Job of a stage, called after its owner, the stage and what it is told."""
    told = run.model_dump(mode="json", by_alias=True, exclude_none=True)
    retry = owner.annotations.get(RETRY_ANNOTATION, "")
    name = stage_job_name(owner.key.name, stage, digest(owner.uid, retry, stage, told))
    return StageJob(stage, name, run, program, arguments, **rest)  # type: ignore[arg-type]


def plan_stages(
    owner: ObservedObject,
    chain: Chain,
    jobs: Sequence[ObservedJob],
    previous: Sequence[StageStatus],
    failure: State | None,
    now: datetime,
) -> WorkPlan:
    """Return what to do now, given the Jobs of `owner` and the stages of the last status.

    `failure` is that of the last status, if any: it stays although its Job is gone.
    """
    walk = _Walk(owner, chain, {job.name: job for job in jobs}, previous, failure, now)
    plan = walk.run()
    needed = walk.needed
    outdated = tuple(
        sorted(
            job.name
            for job in jobs
            if not job.deleting
            and job.name not in needed
            and (walk.knows_all or not job.is_finished)
        )
    )
    return replace(plan, delete=tuple(sorted({*plan.delete, *outdated})))


class _Walk:
    """One pass over the stages, up to the first that is not done."""

    def __init__(
        self,
        owner: ObservedObject,
        chain: Chain,
        jobs: Mapping[str, ObservedJob],
        previous: Sequence[StageStatus],
        failure: State | None,
        now: datetime,
    ) -> None:
        self.owner, self.chain, self.jobs = owner, chain, jobs
        self.failure, self.now = failure, now
        self.memory = {stage.job: stage for stage in previous}
        self.done: list[StageStatus] = []
        self.needed: set[str] = set()
        self.knows_all = False

    def run(self) -> WorkPlan:
        named = self.chain.artifact
        report: ExitReport | None = None
        for index, stage in enumerate(self.chain.stages):
            planned = self.chain.build(stage, named)
            self.needed.add(planned.name)
            job, remembered = self.jobs.get(planned.name), self.memory.get(planned.name)
            if not self._is_done(job, remembered):
                return self._unfinished(planned, job, remembered)
            report = _final_report(job)
            status = stage_status(planned.stage, planned.name, planned.tasks, job, remembered)
            named = named or status.artifact
            is_last = index == len(self.chain.stages) - 1
            reused = index == 0 and report is not None and report.reused
            if named is None or ((is_last or reused) and report is None):
                return self._again(planned, job)
            self.done.append(status)
            if index == 0:
                self._name_all(named)
            if is_last or reused:
                return self._complete(named, report)
        raise AssertionError("a chain has at least one stage")

    def _name_all(self, named: ArtifactRef) -> None:
        self.needed |= {self.chain.build(stage, named).name for stage in self.chain.stages[1:]}
        self.knows_all = True

    def _is_done(self, job: ObservedJob | None, remembered: StageStatus | None) -> bool:
        if job is not None:
            return job.complete
        return remembered is not None and _was_completed(remembered)

    def _complete(self, artifact: ArtifactRef, report: ExitReport | None) -> WorkPlan:
        message = "found complete" if report and report.reused else "complete"
        return WorkPlan(
            State(Phase.COMPLETE, Reason.COMPLETE, f"{message}: {artifact.uri}"),
            tuple(self.done),
            artifact=artifact,
            report=report,
        )

    def _again(self, planned: StageJob, job: ObservedJob | None) -> WorkPlan:
        """Run a finished stage once more if its pods are gone, and what they said with them."""
        if job is not None and any(pod.phase == "Succeeded" for pod in job.pods):
            said = f"stage {planned.stage} ended well, but its pods named no artifact; the image "
            said += "does not fit this operator: set spec.images.data of the ComputeProfile"
            failed = State(Phase.FAILED, Reason.STAGE_FAILED, said)
            return WorkPlan(failed, tuple(self.done))
        message = f"stage {planned.stage} runs again: the reports of its pods are gone"
        state = State(Phase.RUNNING, Reason.STAGE_RUNNING, message)
        if job is None:
            return WorkPlan(state, tuple(self.done), create=planned)
        return WorkPlan(state, tuple(self.done), delete=(job.name,))

    def _unfinished(
        self, planned: StageJob, job: ObservedJob | None, remembered: StageStatus | None
    ) -> WorkPlan:
        if job is None and remembered is not None and self.failure is not None:
            return WorkPlan(self.failure, (*self.done, remembered))
        if job is None:
            status = stage_status(planned.stage, planned.name, planned.tasks, None, None)
            state = State(Phase.RUNNING, Reason.STAGE_RUNNING, f"stage {planned.stage} starts")
            return WorkPlan(state, (*self.done, status), create=planned)
        if job.failed or job.failing:
            return self._failed(planned, job)
        if evicted := eviction_failure(job):
            return self._worn_out(planned, job, evicted)
        if job.deleting:
            return self._running(planned, job, f"waits until the old Job {job.name} is gone")
        if self._is_stale(job) and not job.has_started:
            return self._replace(planned, job)
        plan = self._running(planned, job, "")
        if job.parallelism != planned.parallelism and not job.suspended:
            return replace(plan, resize=(job.name, planned.parallelism))
        return plan

    def _is_stale(self, job: ObservedJob) -> bool:
        return job.annotations.get(PLACEMENT_ANNOTATION) != self.chain.placement

    def _replace(self, planned: StageJob, job: ObservedJob) -> WorkPlan:
        """Run a stage on other terms, if the ones it had may be why it does not go on."""
        plan = self._running(planned, job, "starts again: the ComputeProfile has changed")
        return replace(plan, delete=(job.name,))

    def _running(self, planned: StageJob, job: ObservedJob, why: str) -> WorkPlan:
        remembered = self.memory.get(planned.name)
        status = stage_status(planned.stage, planned.name, planned.tasks, job, remembered)
        where = f"stage {planned.stage}: {status.succeeded} of {planned.tasks} tasks done"
        waiting = waiting_reason(job)
        retried = most_informative(job.pods)
        # Tasks are independent: where one pod runs, work goes on.
        runs = not waiting or is_between_tasks(job, self.now)
        reason = Reason.STAGE_RUNNING if runs else Reason.WAITING_FOR_PODS
        notes = [why, waiting]
        if retried is not None and not waiting:
            notes.append(f"task {retried.rank} is tried again: {retried.message}")
        message = "; ".join([where, *(note for note in notes if note)])
        return WorkPlan(State(Phase.RUNNING, reason, message), (*self.done, status))

    def _failed(self, planned: StageJob, job: ObservedJob) -> WorkPlan:
        failure = job_failure(job)
        if self._is_stale(job) and not failure.is_final and job.failed:
            return self._replace(planned, job)
        return self._failed_with(planned, job, failure)

    def _worn_out(self, planned: StageJob, job: ObservedJob, failure: Failure) -> WorkPlan:
        """Stop a Job that would go on for ever; its pods stay, to be looked at."""
        if self._is_stale(job):
            return self._replace(planned, job)
        stop = (job.name, 0) if job.parallelism else None
        return replace(self._failed_with(planned, job, failure), resize=stop)

    def _failed_with(self, planned: StageJob, job: ObservedJob, failure: Failure) -> WorkPlan:
        remembered = self.memory.get(planned.name)
        status = stage_status(planned.stage, planned.name, planned.tasks, job, remembered)
        message = _failure_message(planned, failure) + retry_hint(self.owner)
        return WorkPlan(State(Phase.FAILED, failure.reason, message), (*self.done, status))


def _failure_message(planned: StageJob, failure: Failure) -> str:
    task = f", task {failure.rank}" if failure.rank is not None and planned.tasks > 1 else ""
    message = f"stage {planned.stage}{task}: {failure.message}"
    if failure.reason is Reason.OUT_OF_MEMORY:
        message += "; raise spec.pods.data.memory of the ComputeProfile, or spec.tasks"
    return message


def _was_completed(stage: StageStatus) -> bool:
    return stage.finished_at is not None and stage.succeeded >= stage.tasks > 0


def _final_report(job: ObservedJob | None) -> ExitReport | None:
    """Return the report that says most: the one with an artifact, else any."""
    reports = [pod.report for pod in job.pods if pod.phase == "Succeeded"] if job else []
    left = [report for report in reports if report is not None]
    return max(left, key=lambda report: report.artifact is not None, default=None)
