"""Where an object stands: the one thing that its phase, message and conditions are made from."""

from dataclasses import dataclass
from enum import StrEnum

from pretrain_api.conditions import Reason

_SOON_SECONDS, _LATER_SECONDS = 5.0, 30.0


class Phase(StrEnum):
    """One word for people."""

    INVALID = "Invalid"
    """The spec is wrong."""
    WAITING = "Waiting"
    """Something that the spec refers to is not there yet."""
    RUNNING = "Running"
    """Work is under way."""
    RESTARTING = "Restarting"
    """An attempt ended before its time, and the next one is due."""
    BLOCKED = "Blocked"
    """The API server refuses what has to be created."""
    SUSPENDED = "Suspended"
    """Held on purpose."""
    COMPLETE = "Complete"
    """Finished, successfully."""
    FAILED = "Failed"
    """Finished without success, until the user acts."""


@dataclass(frozen=True)
class State:
    """A phase, and why."""

    phase: Phase
    reason: Reason
    message: str = ""
    """For people; names the field or file, the value and what would do."""

    @property
    def look_again_seconds(self) -> float | None:
        """Return when to look again, where nothing tells that it has become another one.

        New Secrets are waited for, and what goes by itself; somebody else's object stays, and a
        refusal holds, until a person acts.
        """
        match self.phase, self.reason:
            case (_, Reason.SECRET_NOT_FOUND) | (Phase.RUNNING, Reason.NAME_TAKEN):
                return _SOON_SECONDS
            case (_, Reason.CHILD_REJECTED | Reason.NAME_TAKEN):
                return _LATER_SECONDS
        return None

    @property
    def is_finished(self) -> bool:
        """Return whether nothing more happens without the user."""
        return self.phase in (Phase.COMPLETE, Phase.FAILED)


class DependencyNotReady(Exception):
    """Something that an object refers to is not there, or not ready."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.state = State(Phase.WAITING, reason, message)
