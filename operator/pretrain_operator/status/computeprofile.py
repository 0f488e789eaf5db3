"""The status of a ComputeProfile."""

from datetime import datetime

from pretrain_api.conditions import ConditionType
from pretrain_api.v1alpha1.computeprofile import ComputeProfileStatus
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import read_status
from pretrain_operator.plan.plans import Plan
from pretrain_operator.status.conditions import Statement, build_conditions, shorten


def computeprofile_status(observed: Observation, plan: Plan, now: datetime) -> ComputeProfileStatus:
    """Return the next status of a profile."""
    owner, state = observed.owner, plan.state
    message, is_valid = shorten(state.message), state.is_finished
    valid = Statement("True" if is_valid else "False", state.reason, message)
    statements = {
        ConditionType.READY: valid,
        ConditionType.RECONCILING: Statement("False", state.reason),
        ConditionType.STALLED: Statement("False" if is_valid else "True", state.reason, message),
        ConditionType.ACCEPTED: valid,
    }
    previous = read_status(ComputeProfileStatus, owner).conditions
    return ComputeProfileStatus(
        observed_generation=owner.generation,
        conditions=build_conditions(statements, previous, owner.generation, now),
    )
