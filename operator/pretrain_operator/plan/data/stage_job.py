"""The Job of one stage, before it is a manifest."""

from dataclasses import dataclass

from pretrain_api.runs import Run
from pretrain_operator.plan.placement import Placement


@dataclass(frozen=True)
class StageJob:
    """An Indexed Job: one pod a task."""

    stage: str
    name: str
    run: Run
    """The document that its pods read."""
    program: str
    """Module that its pods run."""
    arguments: tuple[str, ...]
    tasks: int
    parallelism: int
    secrets: tuple[str, ...]
    """Secrets that its pods mount."""
    digest: str
    """Short digest of what it computes, for its label."""
    placement: Placement
