"""Files in the pod's scratch through which the processes of the pod communicate.

The launcher requests a stop; each rank writes its exit report; the agent, which watches the ranks,
writes which of them were killed; rank 0 writes snapshots of its progress.
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
    """Whether it only ended because another rank did."""

    report: ExitReport
    """Class, message and, of rank 0, what the attempt reached."""


class ProgressSnapshot(ApiModel):
    """Progress of the run at one moment, for when rank 0 cannot report it any more."""

    progress: Progress
    """How far the run is."""

    summary: TrainingSummary
    """What the attempt has reached so far."""


class KilledRank(ApiModel):
    """A rank that the agent saw fail."""

    rank: int
    """Rank of all."""

    exit_code: int
    """Its exit code; a negative number is that of a signal."""


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
        self.heartbeats.mkdir()

    @property
    def heartbeats(self) -> Path:
        """Return the folder of the ranks' heartbeats."""
        return self.root / "heartbeats"

    def folder(self, name: str) -> Path:
        """Return an existing folder for files of any kind."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def request_stop(self) -> None:
        """Request that the ranks save and end."""
        (self.root / "stop").touch()

    @property
    def is_stop_requested(self) -> bool:
        """Return whether the ranks should save and end."""
        return (self.root / "stop").exists()

    def write_report(self, report: RankReport) -> None:
        """Write how a rank ended."""
        self._write(f"reports/{report.rank}.json", report)

    def read_reports(self) -> list[RankReport]:
        """Return the reports of the pod's ranks, ordered by rank."""
        reports = [_parse(RankReport, path) for path in (self.root / "reports").glob("*.json")]
        return sorted((one for one in reports if one is not None), key=lambda one: one.rank)

    def write_snapshot(self, snapshot: ProgressSnapshot) -> None:
        """Write the progress of the run."""
        self._write("progress.json", snapshot)

    def read_snapshot(self) -> ProgressSnapshot | None:
        """Return the newest progress of the run, or `None` outside rank 0's pod."""
        return _parse(ProgressSnapshot, self.root / "progress.json")

    def write_killed(self, killed: list[KilledRank]) -> None:
        """Write which ranks failed."""
        text = json.dumps([one.model_dump(by_alias=True) for one in killed])
        (self.root / "killed.json").write_text(text, encoding="utf-8")

    def read_killed(self) -> list[KilledRank]:
        """Return which ranks failed."""
        path = self.root / "killed.json"
        if not path.exists():
            return []
        return [KilledRank.model_validate(one) for one in json.loads(path.read_bytes())]

    def write_agent_failure(self, report: ExitReport) -> None:
        """Write why the agent could not start any rank."""
        self._write("agent.json", report)

    def read_agent_failure(self) -> ExitReport | None:
        """Return why the agent could not start any rank, or `None` if it could."""
        return _parse(ExitReport, self.root / "agent.json")

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
