"""Conditions: a state in the words of kstatus and our own, always the whole set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pretrain_api.conditions import Condition, ConditionType, Reason
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.states import Phase, State

Truth = Literal["True", "False", "Unknown"]

_MAX_MESSAGE = 8192
"""Longest message, in characters: a status has to stay readable, and small."""

_UNFINISHED = (Phase.WAITING, Phase.RUNNING, Phase.RESTARTING)
_STUCK = (Phase.INVALID, Phase.BLOCKED, Phase.FAILED)


@dataclass(frozen=True)
class Statement:
    """What one condition says."""

    status: Truth
    reason: Reason
    message: str = ""


def state_conditions(state: State) -> dict[ConditionType, Statement]:
    """Return what `state` means, for every kind that works towards an end."""
    phase, reason, message = state.phase, state.reason, state.message
    is_dead_end = phase in _STUCK or reason is Reason.DEPENDENCY_FAILED
    complete = phase is Phase.COMPLETE

    def because(holds: bool) -> Statement:
        return Statement("True" if holds else "False", reason, message)

    return {
        ConditionType.READY: because(complete),
        ConditionType.RECONCILING: because(phase in _UNFINISHED and not is_dead_end),
        ConditionType.STALLED: because(is_dead_end),
        ConditionType.ACCEPTED: (
            Statement("False", reason, message)
            if phase is Phase.INVALID
            else Statement("True", Reason.VALID)
        ),
        ConditionType.DATA_READY: _data_ready(state),
        ConditionType.COMPLETE: (
            because(True) if complete else Statement("False", Reason.NOT_COMPLETE)
        ),
        ConditionType.FAILED: (
            because(True) if phase is Phase.FAILED else Statement("False", Reason.NOT_FAILED)
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
    """Return `statements` as conditions; the time of one changes only with its status."""
    before = {condition.type: condition for condition in previous}
    conditions = []
    for kind, said in statements.items():
        old = before.get(kind)
        same = old is not None and old.status == said.status
        conditions.append(
            Condition(
                type=kind.value,
                status=said.status,
                observed_generation=generation,
                last_transition_time=(
                    old.last_transition_time if old and same else format_time(now)
                ),
                reason=said.reason.value,
                message=shorten(said.message),
            )
        )
    return conditions


def shorten(message: str) -> str:
    """Return `message`, cut where a status would grow too large."""
    return message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "…"
