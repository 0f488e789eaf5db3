"""The places that a run reads and writes, tried before anything is computed for them."""

from collections.abc import Callable

from pretrain_api.reports import ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, open_artifact
from pretrain_workloads.trainer.blocks import INDEX_FILE
from pretrain_workloads.trainer.finished import export_folder, finished_report, run_folder


def try_places(run: TrainingRun, is_writer: bool) -> ExitReport | None:
    """Return the report of a run that is finished, or `None` if all it needs can be used.

    Args:
        run: The attempt.
        is_writer: Whether to try to write, which one pod of the run does for all.

    Raises:
        UserError: If any place cannot be used; names all of them. Before the second attempt,
            storage that does not answer counts: nothing shows yet that its address is right.
        OSError: If storage does not answer later.
    """
    trial = _Trial(is_first=run.attempt == 1)
    report = trial.ask("spec.checkpoint", lambda: finished_report(run))
    if report is not None:
        return report
    trial.ask("the token blocks", lambda: open_artifact(run.dataset).stat(INDEX_FILE))
    if run.spec.export.hugging_face or run.spec.evaluation.prompts:
        trial.ask("the tokenizer", lambda: open_artifact(run.tokenizer).stat("tokenizer.json"))
    if is_writer and not trial.problems:
        trial.ask("spec.checkpoint", lambda: run_folder(run).check_writable())
        trial.ask("spec.export.huggingFace", lambda: _check_export(export_folder(run)))
    trial.conclude()
    return None


def _check_export(folder: Folder | None) -> None:
    if folder is not None:
        folder.check_writable()


class _Trial:
    """Questions to storage, and what was wrong with the answers."""

    def __init__(self, is_first: bool) -> None:
        self._is_first = is_first
        self.problems: list[str] = []

    def ask[A](self, what: str, question: Callable[[], A]) -> A | None:
        """Return the answer, or `None` after a problem of the user's."""
        try:
            return question()
        except UserError as error:
            self._note(f"{what}: {error}")
        except OSError as error:
            if not self._is_first:
                raise
            self._note(
                f"{what}: {error}; correct the location, or the endpoint of its Secret, or "
                "start the server"
            )
            self.conclude()  # the next question would wait for the same server
        return None

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def conclude(self) -> None:
        """Raise what was found, if anything was."""
        if self.problems:
            raise UserError("; ".join(self.problems))
