"""The places that a run reads and writes, tried before anything is computed for them."""

import logging
import time
from collections.abc import Callable

from pretrain_api.reports import ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import UserError
from pretrain_workloads.indexed_blocks import BLOCK_LIST
from pretrain_workloads.storage import Folder, Unreachable, open_artifact
from pretrain_workloads.trainer.run_folder.finished import (
    export_folder,
    finished_report,
    run_folder,
)

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
"""How long the first attempt asks storage that does not answer: a pod's DNS and network may be
ready some seconds after its program."""

OTHERS_PATIENCE_SECONDS = 120.0
"""The same in the other pods. The first pod that ends ends them all, and what pod 0 says of an
address that is wrong is worth more."""

_PAUSE_SECONDS = 2.0


def try_places(run: TrainingRun, is_writer: bool) -> ExitReport | None:
    """Return the report of a run that is finished, or `None` if all it needs can be used.

    Args:
        run: The attempt.
        is_writer: Whether to try to write, which one pod of the run does for all.

    Raises:
        UserError: If any place cannot be used; names all of them. In the writer of the first
            attempt, storage that does not answer for `PATIENCE_SECONDS` counts: nothing shows yet
            that its address is right.
        OSError: If storage does not answer otherwise, or cannot do now what is asked.
    """
    trial = _trial(run, is_writer)
    report = trial.ask("spec.checkpoint", lambda: finished_report(run))
    if report is not None:
        return report
    trial.ask("the token blocks", lambda: open_artifact(run.dataset).stat(BLOCK_LIST))
    if run.spec.export.hugging_face or run.spec.evaluation.prompts:
        trial.ask("the tokenizer", lambda: open_artifact(run.tokenizer).stat("tokenizer.json"))
    if is_writer and not trial.problems:
        trial.ask("spec.checkpoint", lambda: run_folder(run).check_writable())
        trial.ask("spec.export.huggingFace", lambda: _check_export(export_folder(run)))
    trial.conclude()
    return None


def _trial(run: TrainingRun, is_writer: bool) -> "Trial":
    if run.attempt > 1:  # it has answered before, and the next attempt asks again
        return Trial(patience=0.0)
    return Trial(PATIENCE_SECONDS if is_writer else OTHERS_PATIENCE_SECONDS, is_last_word=is_writer)


def _check_export(folder: Folder | None) -> None:
    if folder is not None:
        folder.check_writable()


class Trial:
    """Questions to storage, and what was wrong with the answers.

    Args:
        patience: Seconds for which storage that does not answer is asked again, over all questions.
        is_last_word: Whether no answer after that is a problem of the user's.
        sleep: How to wait.
        clock: What time it is, in seconds.
    """

    def __init__(
        self,
        patience: float,
        is_last_word: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep, self._clock = sleep, clock
        self._deadline = clock() + patience
        self._is_last_word = is_last_word
        self.problems: list[str] = []

    def ask[A](self, what: str, question: Callable[[], A]) -> A | None:
        """Return the answer, or `None` after a problem of the user's.

        Raises:
            UserError: If nobody answers and that is the user's to mend.
            OSError: If nobody answers, or storage has a problem of its own.
        """
        try:
            return self._answer(question)
        except UserError as error:
            self._note(f"{what}: {error}")
        except Unreachable as error:
            if not self._is_last_word:
                raise
            self._note(
                f"{what}: {error}; correct the location, or the endpoint of its Secret, or "
                "start the server"
            )
            self.conclude()  # the next question would wait for the same server
        return None

    def _answer[A](self, question: Callable[[], A]) -> A:
        while True:
            try:
                return question()
            except Unreachable as error:
                left = self._deadline - self._clock()
                if left <= 0:
                    raise
                log.warning("%s; asks again for %.0f s", error, left)
                self._sleep(min(_PAUSE_SECONDS, left))

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def conclude(self) -> None:
        """Raise what was found, if anything was."""
        if self.problems:
            raise UserError("; ".join(self.problems))
