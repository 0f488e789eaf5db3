"""The lease of a run's folder (`OWNER.json`): acquired, renewed, checked before every commit."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from pydantic import ValidationError

from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder
from pretrain_workloads.storage.errors import StorageFull
from pretrain_workloads.trainer.run_folder.folders import run_folder
from pretrain_workloads.trainer.run_folder.holder import (
    RENEW_SECONDS,
    HeldByPredecessor,
    Holder,
    HolderPhase,
    HolderWatch,
    LeaseLost,
    check_holder,
    may_acquire,
)

log = logging.getLogger(__name__)

LEASE_FILE = "OWNER.json"
_POLL_SECONDS = 1.0


class Lease:
    """The lease of a run's folder, from the view of one attempt."""

    def __init__(self, run: TrainingRun, folder: Folder | None = None) -> None:
        self._folder = folder or run_folder(run)
        created = _now()
        self.holder = Holder(
            namespace=run.namespace,
            name=run.name,
            uid=run.uid,
            attempt=run.attempt,
            since=created,
            seen_at=created,
        )
        """This attempt."""
        self._renewed_at = -math.inf

    def acquire(
        self,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        make_room: Callable[[], None] = lambda: None,
    ) -> None:
        """Acquire the lease, waiting until its holder ends or it expires.

        Args:
            sleep: How to wait.
            clock: The time, in seconds.
            make_room: Deletes what no attempt needs, if the storage is full.

        Raises:
            StorageFull: If there is no room for the lease even so.
            LeaseLost: If a newer attempt, or another run that is alive, holds it.
            HeldByPredecessor: If an earlier object of the run's own name is alive.
        """
        began = renewed = clock()
        renewals, is_logged, current = 0, False, self.read()
        while not self._may_acquire(
            current, HolderWatch(clock() - began, clock() - renewed, renewals)
        ):
            assert current is not None
            if not is_logged:
                log.warning("%s: waits for %s", self._folder.uri, current.title)
                is_logged = True
            sleep(_POLL_SECONDS)
            previous, current = current, self.read()
            if current is not None and current.seen_at != previous.seen_at:
                renewed = clock()
                renewals += current.phase == "running"
        try:
            self._write()
        except StorageFull:
            make_room()
            self._write()

    def _may_acquire(self, current: Holder | None, watch: HolderWatch) -> bool:
        with self._naming_folder():
            return may_acquire(self.holder, current, watch)

    def check(self) -> None:
        """Check that this attempt still holds the lease.

        Raises:
            LeaseLost: If it does not.
        """
        current = self.read()
        with self._naming_folder():
            check_holder(self.holder, current)

    @contextmanager
    def _naming_folder(self) -> Iterator[None]:
        """Prefix errors with the folder's URI."""
        try:
            yield
        except (LeaseLost, HeldByPredecessor) as error:
            raise type(error)(f"{self._folder.uri}: {error}") from None

    def renew_if_due(self, phase: HolderPhase) -> None:
        """Renew the lease every `RENEW_SECONDS`, and when the phase changes.

        Raises:
            LeaseLost: If this attempt does not hold it any more.
        """
        is_due = time.monotonic() - self._renewed_at >= RENEW_SECONDS
        if is_due or phase != self.holder.phase:
            self.renew(phase)

    def renew(self, phase: HolderPhase) -> None:
        """Renew the lease.

        Storage that does not answer, or that refuses while its keys are rotated, must not end a
        run that trains: if that lasts, the next checkpoint fails.

        Raises:
            LeaseLost: If this attempt does not hold it any more.
        """
        self._renewed_at = time.monotonic()
        self.holder = self.holder.model_copy(update={"seen_at": _now(), "phase": phase})
        try:
            self.check()
            self._write()
        except LeaseLost:
            raise
        except (OSError, UserError) as error:
            log.warning("%s: %s", self._folder.uri_of(LEASE_FILE), error)

    def read(self) -> Holder | None:
        """Return the current holder, or `None` if there is none."""
        if not self._folder.exists(LEASE_FILE):
            return None
        try:
            return Holder.model_validate_json(self._folder.read_bytes(LEASE_FILE), extra="ignore")
        except ValidationError:
            log.warning("%s: cannot be read; ignored", self._folder.uri_of(LEASE_FILE))
            return None

    def _write(self) -> None:
        text = self.holder.model_dump_json(by_alias=True, indent=1)
        self._folder.write_bytes(LEASE_FILE, text.encode())


@contextmanager
def hold_lease(run: TrainingRun, make_room: Callable[[], None] = lambda: None) -> Iterator[Lease]:
    """Hold the lease of the run's folder while the body runs.

    Args:
        run: The attempt.
        make_room: Deletes what no attempt needs, if the storage is full.

    Raises:
        LeaseLost: If a newer attempt, or another run that is alive, holds it.
        HeldByPredecessor: If an earlier object of the run's own name is alive.
    """
    lease = Lease(run)
    lease.acquire(make_room=make_room)
    try:
        yield lease
    finally:
        with suppress(LeaseLost):  # the body's own error says more
            lease.renew("ended")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
