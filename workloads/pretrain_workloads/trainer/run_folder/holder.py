"""Which attempt of which run may write into a run's folder.

The folder is named by what is trained, so a run that is deleted and applied again goes on where it
was. The price is that two runs can mean the same folder: an old pod that lost the cluster but not
the storage and the attempt that replaced it, or the same manifest in two namespaces.
"""

from dataclasses import dataclass
from typing import Literal

from pretrain_api.meta import ApiModel, Positive
from pretrain_workloads.failures import UserError

BEAT_SECONDS = 15.0
"""How often an owner shows that it lives."""

SILENT_SECONDS = 60.0
"""An owner that shows nothing for so long has ended without saying so."""

PATIENCE_SECONDS = 300.0
"""How long to wait for a run that is ending: longer than its ranks may take to save."""

LIVE_BEATS = 2
"""Signs of life after which another run counts as there to stay. The first may be its last: a run
that was just deleted goes on until its pods are told."""

_OTHER_PLACES = "another spec.checkpoint.uri and spec.export.huggingFace.uri"

Phase = Literal["running", "ending", "ended"]
"""It trains, it saves because it must end, or it writes no more."""


class TakenOver(UserError):
    """The run's folder belongs to another attempt or run now."""


class StillWritten(Exception):
    """An earlier object of the run's own name writes there; its end, or an administrator, helps."""


class Owner(ApiModel):
    """`OWNER.json`: who writes into the folder. All times are for people; none is compared."""

    namespace: str
    """Namespace of the PretrainJob."""

    name: str
    """Name of the PretrainJob."""

    uid: str = ""
    """Uid of the PretrainJob. Empty means that the control plane did not tell it."""

    attempt: Positive
    """Number of the attempt."""

    since: str
    """When the attempt took the folder, RFC 3339."""

    seen_at: str
    """When it last showed that it lives, RFC 3339. It differs from sign to sign."""

    phase: Phase = "running"
    """What it does."""

    def is_same_run(self, other: "Owner") -> bool:
        """Return whether both are attempts of one PretrainJob."""
        if self.uid and other.uid:
            return self.uid == other.uid
        return self.has_same_name(other)

    def has_same_name(self, other: "Owner") -> bool:
        """Return whether both are of PretrainJobs of one name, applied again maybe."""
        return (self.namespace, self.name) == (other.namespace, other.name)

    @property
    def title(self) -> str:
        """Return how messages name it."""
        shown = f", uid {self.uid}" if self.uid else ""
        return f"PretrainJob {self.namespace}/{self.name} (attempt {self.attempt}{shown})"


@dataclass(frozen=True)
class Watched:
    """What was seen of the owner while somebody waited for the folder."""

    seconds: float = 0.0
    """How long it was watched."""
    silent_seconds: float = 0.0
    """For how long it has shown no sign of life."""
    beats: int = 0
    """Signs of life that it showed while it was running."""


def may_take(mine: Owner, found: Owner | None, watched: Watched) -> bool:
    """Return whether `mine` takes the folder from `found` now; if not, it looks again later.

    Raises:
        TakenOver: If the folder belongs to a newer attempt, or to another run that lives.
        StillWritten: If an earlier object of the name of `mine` lives.
    """
    if found is None or found.phase == "ended":
        return True
    if found.is_same_run(mine):
        if found.attempt > mine.attempt:
            raise TakenOver(_superseded(mine, found))
        return True
    if watched.silent_seconds >= SILENT_SECONDS:
        return True
    if watched.beats >= LIVE_BEATS or watched.seconds >= PATIENCE_SECONDS:
        if found.has_same_name(mine):
            raise StillWritten(
                f"an earlier PretrainJob of this name (uid {found.uid}) still writes there (last "
                f"seen {found.seen_at}): its pod runs on a node that does not answer; stop that "
                f"node or pod; if it is another cluster's, set {_OTHER_PLACES} here"
            )
        raise TakenOver(
            f"{found.title} writes into it and lives (last seen {found.seen_at}); wait for its "
            f"end, suspend or delete it, or set {_OTHER_PLACES} here"
        )
    return False


def check_owner(mine: Owner, found: Owner | None) -> None:
    """Do nothing if the folder that `mine` has taken is still its own.

    A file that is gone, or that an older attempt has written since, is written again.

    Raises:
        TakenOver: If it belongs to a newer attempt or to another run.
    """
    if found is None or (found.is_same_run(mine) and found.attempt <= mine.attempt):
        return
    if found.is_same_run(mine):
        raise TakenOver(_superseded(mine, found))
    raise TakenOver(
        f"{found.title} has taken it over from {mine.title} (since {found.since}); keep one of "
        f"the two, or set {_OTHER_PLACES} for this one"
    )


def _superseded(mine: Owner, found: Owner) -> str:
    return (
        f"attempt {found.attempt} of this run writes into it since {found.since}; attempt "
        f"{mine.attempt} is an old one and ends without saving"
    )
