"""Whether the controller follows the cluster and keeps up: what the probes of its pod answer."""

from collections.abc import Iterable
from dataclasses import dataclass

from pretrain_operator.cluster.watches import WatchState

SILENT_SECONDS = 150.0
"""A watch that hears nothing for so long is dead: there is a bookmark every minute."""

BUSY_SECONDS = 120.0
"""An object that waits for so long for its reconcile says that the workers do not keep up."""

RESTART_SECONDS = 600.0
"""What lasts for so long may end with a new process."""


@dataclass(frozen=True)
class Health:
    """The age of what the controller knows and does, in seconds."""

    uptime: float
    watches: tuple[tuple[WatchState, float | None], ...]
    """Each watch, and for how long it has heard nothing. `None` means that it never has."""
    oldest_key: float
    """For how long the object that waits longest has been due."""

    @classmethod
    def of(
        cls, watches: Iterable[WatchState], began: float, oldest_key: float, now: float
    ) -> "Health":
        """Return the health at `now`, of a process that began at `began`."""
        silences = [
            (watch, None if watch.heard_at is None else now - watch.heard_at) for watch in watches
        ]
        return cls(now - began, tuple(silences), oldest_key)

    def unready(self) -> list[str]:
        """Return why the operator does not do its work now; empty if it does."""
        found = []
        for watch, silence in self.watches:
            name = watch.resource.plural
            if watch.refusal:
                found.append(f"{name}: {watch.refusal}")
            elif silence is None:
                found.append(f"{name}: not listed yet")
            elif silence > SILENT_SECONDS:
                found.append(f"{name}: nothing heard for {silence:.0f} s")
        if self.oldest_key > BUSY_SECONDS:
            found.append(f"an object waits for its reconcile since {self.oldest_key:.0f} s")
        return found

    def stuck(self) -> list[str]:
        """Return what lasts for so long that the process should be replaced; empty if nothing."""
        found = []
        for watch, silence in self.watches:
            seconds = self.uptime if silence is None else silence
            if seconds > RESTART_SECONDS:
                why = watch.refusal or watch.problem or "silence"
                found.append(f"{watch.resource.plural}: nothing heard for {seconds:.0f} s: {why}")
        if self.oldest_key > RESTART_SECONDS:
            found.append(f"an object waits for its reconcile since {self.oldest_key:.0f} s")
        return found
