"""Plan the data kinds: DataPipeline, Tokenizer and TokenDataset."""

from dataclasses import replace
from datetime import datetime

from pretrain_api.conditions import Reason
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_operator.admission.profiles import choose_profile
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, State, is_ready, read_status
from pretrain_operator.plan.blocked import BLOCKING, blocked_state
from pretrain_operator.plan.data.chains import plan_chain
from pretrain_operator.plan.data.objects import read_data_object
from pretrain_operator.plan.data.stages import plan_stages
from pretrain_operator.plan.placement import plan_placement
from pretrain_operator.plan.plans import DataPlan


def plan_data_object(observed: Observation, now: datetime) -> DataPlan:
    """Return the actions that are due for an object that produces an artifact."""
    owner, status = observed.owner, read_status(DataStatus, observed.owner)
    try:
        item = read_data_object(owner, observed.related)
        if status.artifact is not None and status.spec_digest == item.digest:
            return DataPlan(_complete(f"complete: {status.artifact.uri}"))
        profiles = observed.related.all("ComputeProfile")
        profile = choose_profile(item.spec.profile_ref, profiles, owner.key.namespace)
    except BLOCKING as error:
        return DataPlan(_unless_complete(blocked_state(owner, error), owner, status))
    chain = plan_chain(item, plan_placement(profile, "data"))
    plan = plan_stages(chain, observed.jobs, status, now)
    return replace(plan, digest=item.digest)


def _complete(message: str) -> State:
    return State(Phase.COMPLETE, Reason.COMPLETE, message)


def _unless_complete(state: State, owner: ObservedObject, status: DataStatus) -> State:
    """Return `state`; complete if the object is, and only its inputs have been deleted since."""
    if state.reason is Reason.DEPENDENCY_NOT_FOUND and is_ready(status, owner):
        return _complete(status.message)
    return state
