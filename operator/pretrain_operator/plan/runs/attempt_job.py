"""The Job of one attempt, before it is a manifest."""

from dataclasses import dataclass

from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus
from pretrain_operator.plan.placement import Placement


@dataclass(frozen=True)
class AttemptJob:
    """An Indexed Job with one pod per node."""

    name: str
    run: TrainingRun
    """The document that its pods read."""
    placement: Placement
    secrets: tuple[str, ...]
    """Secrets that its pods mount."""
    status: AttemptStatus
    """Its entry in the status of the run, once it is created."""
