"""Run stages as pods do: the real entry points, one process for each task."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pretrain_api.reports import ExitReport
from pretrain_api.runs import DATASET_STAGES, PIPELINE_STAGES

SINGLE = ("list", "decide", "report", "compose", "seal")
"""Stages with one task."""


@dataclass
class StageRunner:
    """Runs stages below a folder: each task has its own `/pretrain`, with a shared data volume."""

    root: Path
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    """Keys of each Secret that the tasks mount."""

    @property
    def data(self) -> Path:
        """Return the volume that all tasks mount as `/pretrain/data`."""
        folder = self.root / "data"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def prepare(self, module: str, stage: str | None, run: Any, rank: int) -> Path:
        """Return the folder that one task sees as `/pretrain`, with all that it reads."""
        pretrain = self.root / "pods" / f"{module}-{stage}-{rank}"
        for folder in ("spec", "scratch"):
            (pretrain / folder).mkdir(parents=True, exist_ok=True)
        if not (pretrain / "data").exists():
            (pretrain / "data").symlink_to(self.data)
        for name, keys in self.secrets.items():
            (pretrain / "secrets" / name).mkdir(parents=True, exist_ok=True)
            for key, value in keys.items():
                (pretrain / "secrets" / name / key).write_text(value, encoding="utf-8")
        text = run.model_dump_json(by_alias=True, exclude_none=True)
        (pretrain / "spec" / "spec.json").write_text(text, encoding="utf-8")
        return pretrain

    def start(self, module: str, stage: str | None, run: Any, rank: int = 0) -> "RunningTask":
        """Start one task."""
        pretrain = self.prepare(module, stage, run, rank)
        command = [
            sys.executable,
            "-m",
            f"pretrain_workloads.{module}",
            *([stage] if stage else []),
        ]
        environment = os.environ | {
            "PRETRAIN_ROOT": str(pretrain),
            "JOB_COMPLETION_INDEX": str(rank),
        }
        log = (pretrain / "log").open("wb")
        with log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        return RunningTask(process, pretrain)

    def run(
        self, module: str, stage: str | None, run: BaseModel, tasks: int = 1, code: int = 0
    ) -> list[ExitReport]:
        """Run all tasks of a stage in parallel, and return their reports."""
        started = [self.start(module, stage, run, rank) for rank in range(tasks)]
        return [task.report(code) for task in started]

    def run_pipeline(self, run: Any) -> ExitReport:
        """Run the stages of a DataPipeline as the operator does; return the last report."""
        (report,) = self.run("data", "list", run)
        run = run.model_copy(update={"artifact": report.artifact})
        if report.reused:
            return report
        for stage in PIPELINE_STAGES[1:]:
            tasks = 1 if stage in SINGLE else run.tasks
            report = self.run("data", stage, run, tasks)[0]
        return report

    def run_dataset(self, run: Any) -> ExitReport:
        """Run the stages of a TokenDataset as the operator does; return the last report."""
        for stage in DATASET_STAGES:
            report = self.run("dataset", stage, run, 1 if stage in SINGLE else run.tasks)[0]
            if report.reused:
                break
        return report


@dataclass
class RunningTask:
    """A process that runs a task."""

    process: subprocess.Popen[bytes]
    pretrain: Path

    def report(self, code: int = 0) -> ExitReport:
        """Wait for the end of the process, and return its report."""
        exit_code = self.process.wait(timeout=300)
        log = (self.pretrain / "log").read_text(encoding="utf-8", errors="replace")
        assert exit_code == code, f"exit code {exit_code}, not {code}:\n{log[-4000:]}"
        return ExitReport.model_validate_json((self.pretrain / "termination-log").read_bytes())
