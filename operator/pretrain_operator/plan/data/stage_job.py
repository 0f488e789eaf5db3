"""The Job of one stage, before it is a manifest."""

from dataclasses import dataclass

from pretrain_api.runs import Run
from pretrain_operator.plan.placement import Placement


@dataclass(frozen=True)
class StageJob:
    """An Indexed Job with one pod per task."""

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
