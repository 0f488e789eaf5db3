"""The status of an object that produces an artifact."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pretrain_api.reports import ExitReport
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.datapipeline import DataPipelineStatus
from pretrain_api.v1alpha1.tokendataset import TokenDatasetStatus
from pretrain_api.v1alpha1.tokenizer import TokenizerStatus
from pretrain_operator.plan.stages import WorkPlan
from pretrain_operator.status.conditions import build_conditions, shorten, state_conditions

WORK_STATUSES: dict[str, type[DataStatus]] = {
    "DataPipeline": DataPipelineStatus,
    "Tokenizer": TokenizerStatus,
    "TokenDataset": TokenDatasetStatus,
}


@dataclass(frozen=True)
class WorkOutcome:
    """What one reconcile came to."""

    plan: WorkPlan
    digest: str | None
    """Digest of what is asked for. `None` if it cannot be known yet."""


def work_status(
    previous: DataStatus, outcome: WorkOutcome, generation: int, now: datetime
) -> DataStatus:
    """Return the next status; an older artifact stays until the new one is complete."""
    plan = outcome.plan
    state = plan.state
    fields: dict[str, Any] = {
        "observed_generation": generation,
        "phase": state.phase.value,
        "message": shorten(state.message),
        "conditions": build_conditions(
            state_conditions(state), previous.conditions, generation, now
        ),
        "stages": list(plan.stages or previous.stages),
    }
    if plan.artifact is not None:
        fields |= {
            "artifact": plan.artifact,
            "spec_digest": outcome.digest,
            "reused": plan.report is not None and plan.report.reused,
            "summary": _summary(plan.report) or getattr(previous, "summary", None),
        }
    return previous.model_copy(update=fields)


def _summary(report: ExitReport | None) -> object:
    if report is None:
        return None
    return report.pipeline or report.tokenizer or report.dataset
