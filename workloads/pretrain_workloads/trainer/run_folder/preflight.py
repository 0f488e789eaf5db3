"""Preflight check of a run's storage: everything is opened before anything is computed."""

import logging
import time
from collections.abc import Callable

from pretrain_api.reports import ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import UserError
from pretrain_workloads.indexed_blocks import BLOCK_LIST
from pretrain_workloads.storage import Folder, Unreachable, open_artifact, open_location
from pretrain_workloads.storage.errors import StorageFull
from pretrain_workloads.trainer.run_folder.finished import finished_report
from pretrain_workloads.trainer.run_folder.folders import export_folder, run_folder

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
"""How long pod 0 of the first attempt retries storage that does not answer: a pod's DNS and network
may be ready some seconds after its program."""

OTHERS_PATIENCE_SECONDS = 120.0
"""The same for the other pods. The first pod that ends ends them all, and pod 0 has the better
message for a wrong address."""

_RETRY_SECONDS = 2.0


def check_storage(run: TrainingRun, is_writer: bool) -> ExitReport | None:
    """Check that all storage of the run can be used; return the report of a finished run, if any.

    Args:
        run: The attempt.
        is_writer: Whether to check writing, too, which one pod does for all.

    Raises:
        UserError: If any location cannot be used; names all of them. In the writer of the first
            attempt, storage that does not answer for `PATIENCE_SECONDS` counts: nothing has shown
            yet that its address is right.
        OSError: If storage does not answer otherwise, or fails.
    """
    check = _storage_check(run, is_writer)
    report = check.call("spec.checkpoint", lambda: finished_report(run))
    if report is not None:
        return report
    check.call("the token blocks", lambda: open_artifact(run.dataset).stat(BLOCK_LIST))
    if run.spec.export.hugging_face or run.spec.evaluation.prompts:
        check.call("the tokenizer", lambda: open_artifact(run.tokenizer).stat("tokenizer.json"))
    existing = run.spec.initialize.hugging_face
    if existing:
        path = "spec.initialize.huggingFace"
        check.call(path, lambda: open_location(existing).stat("config.json"))
    if is_writer and not check.problems:
        check.call("spec.checkpoint", lambda: _check_writable(run_folder(run)))
        check.call("spec.export.huggingFace", lambda: _check_writable(export_folder(run)))
    check.raise_problems()
    return None


def _storage_check(run: TrainingRun, is_writer: bool) -> "StorageCheck":
    if run.attempt > 1:  # storage has answered before, and the next attempt will retry
        return StorageCheck(patience=0.0)
    patience = PATIENCE_SECONDS if is_writer else OTHERS_PATIENCE_SECONDS
    return StorageCheck(patience, blames_user=is_writer)


def _check_writable(folder: Folder | None) -> None:
    if folder is None:
        return
    try:
        folder.check_writable()
    except StorageFull as error:
        # It may be full of what a killed attempt left, which is deleted once the lease is held.
        log.warning("%s", error)


class StorageCheck:
    """Calls storage, retries while it does not answer, and collects the user's errors.

    Args:
        patience: Seconds for which storage that does not answer is retried, over all calls.
        blames_user: Whether storage that still does not answer is an error of the user.
        sleep: How to wait.
        clock: The time, in seconds.
    """

    def __init__(
        self,
        patience: float,
        blames_user: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep, self._clock = sleep, clock
        self._deadline = clock() + patience
        self._blames_user = blames_user
        self.problems: list[str] = []

    def call[A](self, what: str, operation: Callable[[], A]) -> A | None:
        """Return the result of `operation` on `what`, or `None` after an error of the user.

        Raises:
            UserError: If storage does not answer, and that is the user's error.
            OSError: If storage does not answer otherwise, or fails.
        """
        try:
            return self._retry(operation)
        except UserError as error:
            self._add_problem(f"{what}: {error}")
        except Unreachable as error:
            if not self._blames_user:
                raise
            self._add_problem(
                f"{what}: {error}; correct the location, or the endpoint of its Secret, or "
                "start the server"
            )
            self.raise_problems()  # the next call would wait for the same server
        return None

    def raise_problems(self) -> None:
        """Raise all collected errors, if there are any.

        Raises:
            UserError: If there are any.
        """
        if self.problems:
            raise UserError("; ".join(self.problems))

    def _retry[A](self, operation: Callable[[], A]) -> A:
        while True:
            try:
                return operation()
            except Unreachable as error:
                left = self._deadline - self._clock()
                if left <= 0:
                    raise
                log.warning("%s; retries for %.0f s", error, left)
                self._sleep(min(_RETRY_SECONDS, left))

    def _add_problem(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
