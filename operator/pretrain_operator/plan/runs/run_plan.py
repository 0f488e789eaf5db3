"""The plan of a PretrainJob."""

from dataclasses import dataclass

from pretrain_api.reports import ExitReport
from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, RunInputs
from pretrain_operator.plan.plans import Plan
from pretrain_operator.plan.runs.attempt_job import AttemptJob


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
    is_polled: bool = False
    """Whether pod 0 serves progress now."""
    train_iters: int = 0
    """Optimizer steps of the spec. 0 while the spec is invalid."""

    @property
    def started(self) -> AttemptJob | None:
        """Return the attempt that is about to be created."""
        return self.create if isinstance(self.create, AttemptJob) else None
