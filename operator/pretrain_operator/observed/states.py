"""The state of an object, and how it is read back from the status: unreadable means empty."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ValidationError

from pretrain_api.conditions import Condition, ConditionType, Reason
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_operator.observed.objects import ObservedObject


class Phase(StrEnum):
    """The state in one word."""

    INVALID = "Invalid"
    """The spec is wrong."""
    WAITING = "Waiting"
    """Something that the spec refers to does not exist yet, or is not ready."""
    RUNNING = "Running"
    """Work is under way."""
    RESTARTING = "Restarting"
    """An attempt ended before the run was complete, and the next one is due."""
    BLOCKED = "Blocked"
    """A child cannot be created: the API server refuses it, or its name is taken."""
    SUSPENDED = "Suspended"
    """Suspended by its spec."""
    QUEUED = "Queued"
    """Suspended by its queue, until that has room for it."""
    COMPLETE = "Complete"
    """Finished, successfully."""
    FAILED = "Failed"
    """Finished without success, until the user acts."""


@dataclass(frozen=True)
class State:
    """A phase and its reason."""

    phase: Phase
    reason: Reason
    message: str = ""
    """For the user: the field or file, the value and the remedy."""

    @property
    def is_finished(self) -> bool:
        """Return whether nothing more happens until the user acts."""
        return self.phase in (Phase.COMPLETE, Phase.FAILED)


def read_status[S: BaseModel](model: type[S], observed: ObservedObject) -> S:
    """Return the status of `observed`; an empty one if it is missing or of another version.

    An empty status loses nothing: its content is rebuilt from Jobs and artifacts.
    """
    status = observed.parsed.get(model)
    if not isinstance(status, model):
        try:
            status = model.model_validate(dict(observed.status), extra="ignore")
        except ValidationError:
            status = model()
        observed.parsed[model] = status
    return status


def find_condition(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """Return the condition of one type; `None` if there is none."""
    return next((c for c in conditions if c.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    """Return whether the condition of one type exists and is true."""
    condition = find_condition(conditions, kind)
    return condition is not None and condition.status == "True"


def is_ready(status: DataStatus, observed: ObservedObject) -> bool:
    """Return whether the artifact of the current spec is complete, according to `status`."""
    return (
        status.observed_generation == observed.generation
        and status.artifact is not None
        and is_true(status.conditions, ConditionType.READY)
    )


def last_failure(conditions: Iterable[Condition]) -> State | None:
    """Return the failure of an object; `None` if its last status shows none."""
    return _ended(find_condition(conditions, ConditionType.FAILED), Phase.FAILED)


def last_end(conditions: Iterable[Condition]) -> State | None:
    """Return the final state of an object; `None` if its last status shows none."""
    listed = list(conditions)
    complete = _ended(find_condition(listed, ConditionType.COMPLETE), Phase.COMPLETE)
    return complete or last_failure(listed)


def _ended(condition: Condition | None, phase: Phase) -> State | None:
    if condition is None or condition.status != "True":
        return None
    is_known = condition.reason in Reason.__members__.values()
    reason = Reason(condition.reason) if is_known else Reason.STAGE_FAILED
    return State(phase, reason, condition.message)
