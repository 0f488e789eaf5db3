"""What differs between kinds: how they are planned, and what their status is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.plan.computeprofile import plan_computeprofile
from pretrain_operator.plan.data.data_kinds import plan_data_object
from pretrain_operator.plan.plans import Plan
from pretrain_operator.plan.runs import pretrainjob
from pretrain_operator.plan.runs.next_attempt import progress_pod
from pretrain_operator.status.computeprofile import computeprofile_status
from pretrain_operator.status.data_kinds import data_status
from pretrain_operator.status.events import AnyStatus
from pretrain_operator.status.pretrainjob import pretrainjob_status


def _no_pod(jobs: tuple[ObservedJob, ...]) -> ObservedPod | None:
    return None


def _never(observed: Observation) -> bool:
    return False


@dataclass(frozen=True)
class KindFunctions[P: Plan]:
    """The pure functions of one kind."""

    plan: Callable[[Observation, datetime], P]
    status: Callable[[Observation, P, datetime], AnyStatus]
    polled_pod: Callable[[tuple[ObservedJob, ...]], ObservedPod | None] = _no_pod
    """Return the pod whose progress is polled, given the Jobs of the object."""
    needs_search: Callable[[Observation], bool] = _never
    """Whether planning may take long, so that it runs in a thread."""


_DATA_KIND = KindFunctions(plan=plan_data_object, status=data_status)

KIND_FUNCTIONS: Mapping[str, KindFunctions[Any]] = {
    "ComputeProfile": KindFunctions(plan=plan_computeprofile, status=computeprofile_status),
    "DataPipeline": _DATA_KIND,
    "Tokenizer": _DATA_KIND,
    "TokenDataset": _DATA_KIND,
    "PretrainJob": KindFunctions(
        plan=pretrainjob.plan_pretrainjob,
        status=pretrainjob_status,
        polled_pod=progress_pod,
        needs_search=pretrainjob.needs_search,
    ),
}
