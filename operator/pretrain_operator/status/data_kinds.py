"""The status of an object that produces an artifact."""

from datetime import datetime
from typing import Any

from pretrain_api.reports import ExitReport
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.datapipeline import DataPipelineStatus
from pretrain_api.v1alpha1.tokendataset import TokenDatasetStatus
from pretrain_api.v1alpha1.tokenizer import TokenizerStatus
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import read_status
from pretrain_operator.plan.plans import DataPlan
from pretrain_operator.status.conditions import build_conditions, shorten, state_conditions

_STATUSES: dict[str, type[DataStatus]] = {
    "DataPipeline": DataPipelineStatus,
    "Tokenizer": TokenizerStatus,
    "TokenDataset": TokenDatasetStatus,
}


def data_status(observed: Observation, plan: DataPlan, now: datetime) -> DataStatus:
    """Return the next status; an older artifact stays until the new one is complete."""
    owner, state = observed.owner, plan.state
    previous = read_status(_STATUSES[owner.key.kind], owner)
    fields: dict[str, Any] = {
        "observed_generation": owner.generation,
        "phase": state.phase.value,
        "message": shorten(state.message),
        "conditions": build_conditions(
            state_conditions(state), previous.conditions, owner.generation, now
        ),
        "stages": list(plan.stages or previous.stages),
    }
    if plan.artifact is not None:
        fields |= {
            "artifact": plan.artifact,
            "spec_digest": plan.digest,
            "reused": plan.report is not None and plan.report.reused,
            "summary": _summary(plan.report) or getattr(previous, "summary", None),
        }
    return previous.model_copy(update=fields)


def _summary(report: ExitReport | None) -> object:
    if report is None:
        return None
    return report.pipeline or report.tokenizer or report.dataset
