"""Which attempt of which run may write into a run's folder: the decision, without any I/O.

The folder's name is the digest of what is trained, so a run that is deleted and applied again
continues where it was. The price is that two runs can use the same folder: an old pod on a node
that lost the cluster but not the storage, and the attempt that replaced it; or the same manifest
in two namespaces. A lease in the folder (`OWNER.json`) names its one holder.
"""

from dataclasses import dataclass
from typing import Literal

from pretrain_api.meta import ApiModel, Positive
from pretrain_workloads.failures import UserError

RENEW_SECONDS = 15.0
"""How often a holder renews its lease."""

EXPIRY_SECONDS = 60.0
"""A lease that was not renewed for so long has expired: its holder is dead."""

PATIENCE_SECONDS = 300.0
"""How long to wait for a run that is ending: longer than its ranks may take to save."""

LIVE_RENEWALS = 2
"""Renewals after which another run counts as alive. The first renewal may be its last: a run that
was just deleted continues until its pods get the signal."""

_OTHER_FOLDERS = "another spec.checkpoint.uri and spec.export.huggingFace.uri"

HolderPhase = Literal["running", "ending", "ended"]
"""The holder trains, saves before it ends, or writes no more."""


class LeaseLost(UserError):
    """Another attempt or run holds the lease of the run's folder now."""


class HeldByPredecessor(Exception):
    """An earlier object of the same name still writes; its end or an administrator will help."""


class Holder(ApiModel):
    """The content of `OWNER.json`. All times are for people; none is compared."""

    namespace: str
    """Namespace of the PretrainJob."""

    name: str
    """Name of the PretrainJob."""

    uid: str = ""
    """Uid of the PretrainJob. Empty means that the control plane did not send it."""

    attempt: Positive
    """Number of the attempt."""

    since: str
    """When the attempt acquired the lease, RFC 3339."""

    seen_at: str
    """When it last renewed the lease, RFC 3339. It differs between any two renewals."""

    phase: HolderPhase = "running"
    """What the attempt does."""

    def is_same_run(self, other: "Holder") -> bool:
        """Return whether both are attempts of one PretrainJob."""
        if self.uid and other.uid:
            return self.uid == other.uid
        return self.has_same_name(other)

    def has_same_name(self, other: "Holder") -> bool:
        """Return whether both have a PretrainJob of this name, which may have been re-created."""
        return (self.namespace, self.name) == (other.namespace, other.name)

    @property
    def title(self) -> str:
        """Return its name in messages."""
        shown = f", uid {self.uid}" if self.uid else ""
        return f"PretrainJob {self.namespace}/{self.name} (attempt {self.attempt}{shown})"


@dataclass(frozen=True)
class HolderWatch:
    """What an attempt that waits for the lease has observed of its holder."""

    seconds: float = 0.0
    """How long it has waited."""
    unrenewed_seconds: float = 0.0
    """Time since the holder's last renewal."""
    renewals: int = 0
    """Renewals by a running holder."""


def may_acquire(own: Holder, current: Holder | None, watch: HolderWatch) -> bool:
    """Return whether `own` may acquire the lease from `current` now; if not, retry later.

    Raises:
        LeaseLost: If a newer attempt, or another run that is alive, holds it.
        HeldByPredecessor: If an earlier object with the name of `own` is alive.
    """
    if current is None or current.phase == "ended":
        return True
    if current.is_same_run(own):
        if current.attempt > own.attempt:
            raise LeaseLost(_superseded(own, current))
        return True
    if watch.unrenewed_seconds >= EXPIRY_SECONDS:
        return True
    if watch.renewals >= LIVE_RENEWALS or watch.seconds >= PATIENCE_SECONDS:
        if current.has_same_name(own):
            raise HeldByPredecessor(
                f"an earlier PretrainJob of this name (uid {current.uid}) still writes there (last "
                f"seen {current.seen_at}): its pod runs on a node that does not answer; stop that "
                f"node or pod; if it is another cluster's, set {_OTHER_FOLDERS} here"
            )
        raise LeaseLost(
            f"{current.title} writes into it and is alive (last seen {current.seen_at}); wait for "
            f"its end, suspend or delete it, or set {_OTHER_FOLDERS} here"
        )
    return False


def check_holder(own: Holder, current: Holder | None) -> None:
    """Check that `own`, which acquired the lease, still holds it.

    A missing lease, or one that an older attempt wrote meanwhile, is not lost: the next renewal
    writes it again.

    Raises:
        LeaseLost: If a newer attempt or another run holds it.
    """
    if current is None or (current.is_same_run(own) and current.attempt <= own.attempt):
        return
    if current.is_same_run(own):
        raise LeaseLost(_superseded(own, current))
    raise LeaseLost(
        f"{current.title} has taken it over from {own.title} (since {current.since}); keep one of "
        f"the two, or set {_OTHER_FOLDERS} for this one"
    )


def _superseded(own: Holder, current: Holder) -> str:
    return (
        f"attempt {current.attempt} of this run writes into it since {current.since}; attempt "
        f"{own.attempt} is an old one and ends without saving"
    )
