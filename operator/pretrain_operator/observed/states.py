"""The state of an object, from which its phase, message and conditions are derived."""

from dataclasses import dataclass
from enum import StrEnum

from pretrain_api.conditions import Reason


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
    """Suspended by its spec or by a queue."""
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


class DependencyNotReady(Exception):
    """Something that an object refers to does not exist, or is not ready."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
