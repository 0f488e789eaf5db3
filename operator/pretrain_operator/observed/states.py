"""Where an object stands: its phase, message and conditions are all made from one `State`."""

from dataclasses import dataclass
from enum import StrEnum

from pretrain_api.conditions import Reason


class Phase(StrEnum):
    """One word for people."""

    INVALID = "Invalid"
    """The spec is wrong."""
    WAITING = "Waiting"
    """Something that the spec refers to does not exist yet, or is not ready."""
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
    def is_finished(self) -> bool:
        """Return whether nothing more happens without the user."""
        return self.phase in (Phase.COMPLETE, Phase.FAILED)


class DependencyNotReady(Exception):
    """Something that an object refers to does not exist, or is not ready."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
