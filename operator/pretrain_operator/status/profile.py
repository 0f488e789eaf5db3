"""The status of a ComputeProfile."""

from collections.abc import Sequence
from datetime import datetime

from pretrain_api.conditions import Condition, ConditionType, Reason
from pretrain_api.v1alpha1.computeprofile import ComputeProfileStatus
from pretrain_operator.status.conditions import Statement, build_conditions, shorten


def profile_status(
    previous: Sequence[Condition], problems: Sequence[str], generation: int, now: datetime
) -> ComputeProfileStatus:
    """Return the status of a profile with these `problems`."""
    said = (
        Statement("False", Reason.INVALID_SPEC, shorten("; ".join(problems)))
        if problems
        else Statement("True", Reason.VALID)
    )
    opposite = Statement("True" if problems else "False", said.reason, said.message)
    statements = {
        ConditionType.READY: said,
        ConditionType.RECONCILING: Statement("False", said.reason),
        ConditionType.STALLED: opposite,
        ConditionType.ACCEPTED: said,
    }
    return ComputeProfileStatus(
        observed_generation=generation,
        conditions=build_conditions(statements, previous, generation, now),
    )
