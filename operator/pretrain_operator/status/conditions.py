"""Conditions of a state: those of kstatus and our own, always the complete set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pretrain_api.conditions import Condition, ConditionType, Reason
from pretrain_operator.observed.clock import format_time, read_time
from pretrain_operator.observed.states import Phase, State

Truth = Literal["True", "False", "Unknown"]

_MAX_MESSAGE = 8192
"""Longest message, in characters, so that a status stays readable and small."""

_UNFINISHED = (Phase.WAITING, Phase.RUNNING, Phase.RESTARTING)
_STALLED = (Phase.INVALID, Phase.BLOCKED, Phase.FAILED)


@dataclass(frozen=True)
class Statement:
    """The content of one condition, without its generation and time."""

    status: Truth
    reason: Reason
    message: str = ""


def state_conditions(state: State) -> dict[ConditionType, Statement]:
    """Return the conditions of `state`, for every kind whose work comes to an end."""
    phase, reason, message = state.phase, state.reason, state.message
    is_stalled = phase in _STALLED or reason is Reason.DEPENDENCY_FAILED
    complete = phase is Phase.COMPLETE

    def statement(is_true: bool) -> Statement:
        return Statement("True" if is_true else "False", reason, message)

    return {
        ConditionType.READY: statement(complete),
        ConditionType.RECONCILING: statement(phase in _UNFINISHED and not is_stalled),
        ConditionType.STALLED: statement(is_stalled),
        ConditionType.ACCEPTED: (
            Statement("False", reason, message)
            if phase is Phase.INVALID
            else Statement("True", Reason.VALID)
        ),
        ConditionType.DATA_READY: _data_ready(state),
        ConditionType.COMPLETE: (
            statement(True) if complete else Statement("False", Reason.NOT_COMPLETE)
        ),
        ConditionType.FAILED: (
            statement(True) if phase is Phase.FAILED else Statement("False", Reason.NOT_FAILED)
        ),
    }


def _data_ready(state: State) -> Statement:
    if state.phase is Phase.INVALID:
        return Statement("Unknown", state.reason, "the spec is invalid")
    if state.phase is Phase.WAITING:
        return Statement("False", state.reason, state.message)
    return Statement("True", Reason.DEPENDENCIES_READY)


def build_conditions(
    statements: Mapping[ConditionType, Statement],
    previous: Sequence[Condition],
    generation: int,
    now: datetime,
) -> list[Condition]:
    """Return `statements` as conditions; the transition time changes only with the status."""
    before = {condition.type: condition for condition in previous}
    conditions = []
    for kind, statement in statements.items():
        old = before.get(kind)
        is_same = (
            old is not None
            and old.status == statement.status
            and read_time(old.last_transition_time) is not None
        )
        conditions.append(
            Condition(
                type=kind.value,
                status=statement.status,
                observed_generation=generation,
                last_transition_time=(
                    old.last_transition_time if old and is_same else format_time(now)
                ),
                reason=statement.reason.value,
                message=shorten(statement.message),
            )
        )
    return conditions


def shorten(message: str) -> str:
    """Return `message`, truncated to what a status may hold."""
    return message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "…"
