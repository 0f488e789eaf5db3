"""The plan of an object that produces an artifact."""

from dataclasses import dataclass

from pretrain_api.reports import ExitReport
from pretrain_api.v1alpha1.data_status import ArtifactRef, StageStatus
from pretrain_operator.plan.plans import Plan


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
