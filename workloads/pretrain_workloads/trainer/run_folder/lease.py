"""`OWNER.json` in a run's folder: taken at the start, kept alive, checked before every commit."""

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
from pretrain_workloads.trainer.run_folder.finished import run_folder
from pretrain_workloads.trainer.run_folder.holder import (
    BEAT_SECONDS,
    Owner,
    Phase,
    StillWritten,
    TakenOver,
    Watched,
    check_owner,
    may_take,
)

log = logging.getLogger(__name__)

OWNER_FILE = "OWNER.json"
_LOOK_SECONDS = 1.0


class Claim:
    """An attempt's hold on the folder of its run."""

    def __init__(self, run: TrainingRun, folder: Folder | None = None) -> None:
        self._folder = folder or run_folder(run)
        began = _now()
        self.mine = Owner(
            namespace=run.namespace,
            name=run.name,
            uid=run.uid,
            attempt=run.attempt,
            since=began,
            seen_at=began,
        )
        self._told_at = -math.inf

    def take(
        self,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the folder, waiting until whoever has it ends or has been silent for long enough.

        Raises:
            TakenOver: If it belongs to a newer attempt, or to another run that lives.
            StillWritten: If an earlier object of the run's own name lives.
        """
        began = changed = clock()
        beats, is_told, found = 0, False, self.read()
        while not self._may_take(found, Watched(clock() - began, clock() - changed, beats)):
            assert found is not None
            if not is_told:
                log.warning("%s: waits for %s", self._folder.uri, found.title)
                is_told = True
            sleep(_LOOK_SECONDS)
            before, found = found, self.read()
            if found is not None and found.seen_at != before.seen_at:
                changed = clock()
                beats += found.phase == "running"
        self._write()

    def _may_take(self, found: Owner | None, watched: Watched) -> bool:
        with self._told():
            return may_take(self.mine, found, watched)

    def check(self) -> None:
        """Do nothing if the folder is still this attempt's.

        Raises:
            TakenOver: If it is not.
        """
        found = self.read()
        with self._told():
            check_owner(self.mine, found)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say which folder it is about."""
        try:
            yield
        except (TakenOver, StillWritten) as error:
            raise type(error)(f"{self._folder.uri}: {error}") from None

    def keep(self, phase: Phase) -> None:
        """Show, now and then, that this attempt lives.

        Raises:
            TakenOver: If the folder belongs to somebody else.
        """
        is_due = time.monotonic() - self._told_at >= BEAT_SECONDS
        if is_due or phase != self.mine.phase:
            self.tell(phase)

    def tell(self, phase: Phase) -> None:
        """Show what this attempt does.

        Storage that does not answer, or that refuses while keys are renewed, is no reason to end a
        run that trains: if it lasts, the next save says so.

        Raises:
            TakenOver: If the folder belongs to somebody else.
        """
        self._told_at = time.monotonic()
        self.mine = self.mine.model_copy(update={"seen_at": _now(), "phase": phase})
        try:
            self.check()
            self._write()
        except TakenOver:
            raise
        except (OSError, UserError) as error:
            log.warning("%s: %s", self._folder.uri_of(OWNER_FILE), error)

    def read(self) -> Owner | None:
        """Return whom the folder belongs to, or `None` if nobody says so."""
        if not self._folder.exists(OWNER_FILE):
            return None
        try:
            return Owner.model_validate_json(self._folder.read_bytes(OWNER_FILE), extra="ignore")
        except ValidationError:
            log.warning("%s: cannot be read; ignored", self._folder.uri_of(OWNER_FILE))
            return None

    def _write(self) -> None:
        text = self.mine.model_dump_json(by_alias=True, indent=1)
        self._folder.write_bytes(OWNER_FILE, text.encode())


@contextmanager
def held(run: TrainingRun) -> Iterator[Claim]:
    """Hold the run's folder for the time of the body.

    Raises:
        TakenOver: If it belongs to a newer attempt, or to another run that lives.
        StillWritten: If an earlier object of the run's own name lives.
    """
    claim = Claim(run)
    claim.take()
    try:
        yield claim
    finally:
        with suppress(TakenOver):  # the body's own end says more
            claim.tell("ended")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
