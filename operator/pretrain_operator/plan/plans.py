"""Plans: the actions that are due for an object, and the Jobs that they create."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from pretrain_api.reports import ExitReport
from pretrain_api.runs import Run, TrainingRun
from pretrain_api.v1alpha1.data_status import ArtifactRef, StageStatus
from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, RunInputs
from pretrain_operator.observed.states import State
from pretrain_operator.plan.placement import Placement

HURRY_SECONDS = 10
"""Grace period of pods that cannot save their work any more, because a peer is lost."""


@dataclass(frozen=True)
class StageJob:
    """The Job of a stage, before it is a manifest: an Indexed Job with one pod per task."""

    stage: str
    name: str
    run: Run
    """The document that its pods read."""
    program: str
    """Python module that its pods run."""
    arguments: tuple[str, ...]
    tasks: int
    parallelism: int
    secrets: tuple[str, ...]
    """Secrets that its pods mount."""
    digest: str
    """Short digest of the artifact or, until it is named, of spec and inputs; for its label."""
    placement: Placement


@dataclass(frozen=True)
class AttemptJob:
    """The Job of an attempt, before it is a manifest: an Indexed Job with one pod per node."""

    name: str
    run: TrainingRun
    """The document that its pods read."""
    placement: Placement
    secrets: tuple[str, ...]
    """Secrets that its pods mount."""
    status: AttemptStatus
    """Its entry in the status of the run, once it is created."""


@dataclass(frozen=True)
class JobSize:
    """The parallelism that a Job should have."""

    job: str
    parallelism: int


@dataclass(frozen=True)
class Plan:
    """The actions that are due for an object, and the state to report."""

    state: State
    create: StageJob | AttemptJob | None = None
    """The Job to create, together with its ConfigMap and its Service."""
    keep: StageJob | AttemptJob | None = None
    """The Job whose pods are starting; what they need is created again if somebody deletes it."""
    resize: JobSize | None = None
    delete: tuple[str, ...] = ()
    """Jobs that are no longer needed."""
    hurry: tuple[str, ...] = ()
    """Pods to end within `HURRY_SECONDS`: a peer is lost, and others wait for their devices."""
    lost: tuple[str, ...] = ()
    """Pods to declare failed: their node does not confirm their end, and their Job waits for it."""
    delete_owner: bool = False
    """Whether to delete the object itself: it has finished, and its time to live is over."""
    requeue_at: datetime | None = None
    """When the passing of time alone makes the next step due. `None` if it does not."""
    is_polled: bool = False
    """Whether a pod serves progress now."""

    def blocked(self, state: State) -> Self:
        """Return the plan without the Job to create; `state` says why it cannot be created."""
        return replace(self, state=state, create=None)


@dataclass(frozen=True)
class DataPlan(Plan):
    """The actions that are due for an object that produces an artifact."""

    stages: tuple[StageStatus, ...] = ()
    """Statuses of the stages so far. Empty means that those of the last status stay."""
    artifact: ArtifactRef | None = None
    """The artifact. `None` until it is complete."""
    report: ExitReport | None = None
    """The report of the stage that completed it."""
    digest: str | None = None
    """Digest of spec and inputs, for `status.specDigest`. `None` if it is unknown."""


@dataclass(frozen=True)
class RunPlan(Plan):
    """The actions that are due for a PretrainJob."""

    attempts: tuple[AttemptStatus, ...] = ()
    """The attempts so far, without the one that is about to be created."""
    due: int | None = None
    """Number of the attempt that has to start now. `None` if none has to."""
    report: ExitReport | None = None
    """Report of pod 0 of the newest attempt, if it has ended."""
    inputs: RunInputs | None = None
    """The artifacts that the run is bound to. `None` before its first attempt."""
    prediction: PlanStatus | None = None
    """Memory, time and layout, as the planner predicts them."""
    train_iters: int = 0
    """Optimizer steps of the spec. 0 while the spec is invalid."""

    @property
    def started(self) -> AttemptJob | None:
        """Return the attempt that is about to be created."""
        return self.create if isinstance(self.create, AttemptJob) else None
