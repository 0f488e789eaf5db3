"""The files through which a pod's processes tell each other what happened, in its scratch.

The launcher asks for a stop; ranks report how they ended; the agent that watches the ranks reports
which of them were killed; rank 0 notes how far the run is.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pretrain_api.meta import ApiModel
from pretrain_api.reports import ExitReport
from pretrain_api.v1alpha1.progress import Progress, TrainingSummary
from pretrain_workloads.storage import scratch_path


class RankReport(ApiModel):
    """How a rank ended."""

    rank: int
    """Rank of all."""

    collateral: bool = False
    """Whether it only ended because another one did."""

    report: ExitReport
    """Class, message and, of rank 0, what the attempt reached."""


class Note(ApiModel):
    """What rank 0 knows about the run while it goes on."""

    progress: Progress
    """How far it is."""

    summary: TrainingSummary
    """What it reached so far."""


class Killed(ApiModel):
    """A rank that ended without a report of its own."""

    rank: int
    """Rank of all."""

    exit_code: int
    """Its exit code; less than zero is the number of a signal."""


@dataclass(frozen=True)
class Workspace:
    """The folder that holds these files."""

    root: Path

    @staticmethod
    def of_pod() -> "Workspace":
        """Return the workspace of this pod."""
        return Workspace(scratch_path() / "trainer")

    def clear(self) -> None:
        """Delete what an earlier container of the pod left."""
        shutil.rmtree(self.root, ignore_errors=True)
        (self.root / "reports").mkdir(parents=True)

    def folder(self, name: str) -> Path:
        """Return an existing folder for files of any kind."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def ask_to_stop(self) -> None:
        """Ask the ranks to save and end."""
        (self.root / "stop").touch()

    @property
    def is_stop_asked(self) -> bool:
        """Return whether the ranks should save and end."""
        return (self.root / "stop").exists()

    def write_report(self, report: RankReport) -> None:
        """Note how a rank ended."""
        self._write(f"reports/{report.rank}.json", report)

    def read_reports(self) -> list[RankReport]:
        """Return how the pod's ranks ended, in the order of their numbers."""
        found = [_parse(RankReport, path) for path in (self.root / "reports").glob("*.json")]
        return sorted((one for one in found if one is not None), key=lambda one: one.rank)

    def write_note(self, note: Note) -> None:
        """Note how far the run is."""
        self._write("progress.json", note)

    def read_note(self) -> Note | None:
        """Return how far the run was, or `None` outside rank 0's pod."""
        return _parse(Note, self.root / "progress.json")

    def write_killed(self, killed: list[Killed]) -> None:
        """Note which ranks did not end well."""
        text = json.dumps([one.model_dump(by_alias=True) for one in killed])
        (self.root / "killed.json").write_text(text, encoding="utf-8")

    def read_killed(self) -> list[Killed]:
        """Return which ranks did not end well."""
        path = self.root / "killed.json"
        if not path.exists():
            return []
        return [Killed.model_validate(one) for one in json.loads(path.read_bytes())]

    def _write(self, name: str, value: ApiModel) -> None:
        path = self.root / name
        partial = path.with_suffix(".partial")
        partial.write_text(value.model_dump_json(by_alias=True, exclude_none=True), "utf-8")
        partial.replace(path)


def _parse[M: ApiModel](model: type[M], path: Path) -> M | None:
    """Return the value in a file, or `None` if it is absent or was never finished."""
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
