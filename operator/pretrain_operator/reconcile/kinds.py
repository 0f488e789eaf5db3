"""What differs between kinds: how they are planned, and what their status is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pretrain_operator.observed.observation import Observation
from pretrain_operator.plan.computeprofile import plan_computeprofile
from pretrain_operator.plan.data import data_kinds
from pretrain_operator.plan.plans import Plan
from pretrain_operator.plan.runs import pretrainjob
from pretrain_operator.status.computeprofile import computeprofile_status
from pretrain_operator.status.data_kinds import data_status
from pretrain_operator.status.events import AnyStatus
from pretrain_operator.status.pretrainjob import pretrainjob_status


def _always(observed: Observation) -> bool:
    return True


def _never(observed: Observation) -> bool:
    return False


@dataclass(frozen=True)
class KindFunctions[P: Plan]:
    """The pure functions of one kind."""

    plan: Callable[[Observation, datetime], P]
    status: Callable[[Observation, P, datetime], AnyStatus]
    is_settled: Callable[[Observation], bool]
    """Whether no Job will be created, so that no Secrets need to be looked up."""
    needs_search: Callable[[Observation], bool] = _never
    """Whether planning may take long, so that it runs in a thread."""


_DATA_KIND = KindFunctions(
    plan=data_kinds.plan_data_object, status=data_status, is_settled=data_kinds.is_settled
)

KIND_FUNCTIONS: Mapping[str, KindFunctions[Any]] = {
    "ComputeProfile": KindFunctions(
        plan=plan_computeprofile, status=computeprofile_status, is_settled=_always
    ),
    "DataPipeline": _DATA_KIND,
    "Tokenizer": _DATA_KIND,
    "TokenDataset": _DATA_KIND,
    "PretrainJob": KindFunctions(
        plan=pretrainjob.plan_pretrainjob,
        status=pretrainjob_status,
        is_settled=pretrainjob.is_settled,
        needs_search=pretrainjob.needs_search,
    ),
}
