"""Run the stages of the data kinds as pods do, and record what each costs.

The real entry points run, one process for each task. CPU time includes the start of the
interpreter; `start_seconds` says how much that is.
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SINGLE = ("list", "decide", "report", "compose", "seal")
"""Stages with one task."""


@dataclass
class StageCost:
    """What one stage costs, over all its tasks."""

    stage: str
    tasks: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


class StageBench:
    """Runs stages below a folder, which each task sees as `/pretrain`.

    Args:
        folder: An empty folder.
        parallel: Whether the tasks of a stage run at once.
    """

    def __init__(self, folder: Path, parallel: bool = False) -> None:
        self.folder, self.parallel = folder, parallel
        self.rows: list[StageCost] = []
        (folder / "data/raw").mkdir(parents=True)

    def run(self, module: str, stage: str, run: dict[str, Any], tasks: int) -> dict[str, Any]:
        """Run all tasks of a stage, and return the report of the first one."""
        wall, cpu = time.monotonic(), children_cpu()
        reports = []
        if self.parallel:
            started = [self._start(module, stage, run, rank) for rank in range(tasks)]
            reports = [self._report(*task) for task in started]
        else:
            reports = [self._report(*self._start(module, stage, run, r)) for r in range(tasks)]
        peak = max(report["peakMemoryBytes"] for report in reports)
        wall, cpu = time.monotonic() - wall, children_cpu() - cpu
        self.rows.append(StageCost(stage or module, tasks, wall, cpu, peak))
        return reports[0]

    def _start(
        self, module: str, stage: str, run: dict[str, Any], rank: int
    ) -> tuple[subprocess.Popen[bytes], Path]:
        pod = self.folder / "pods" / f"{module}-{stage}-{rank}"
        for name in ("spec", "scratch"):
            (pod / name).mkdir(parents=True, exist_ok=True)
        if not (pod / "data").exists():
            (pod / "data").symlink_to(self.folder / "data")
        (pod / "spec" / "spec.json").write_text(json.dumps(run), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            f"pretrain_workloads.{module}",
            *([stage] if stage else []),
        ]
        changes = {"PRETRAIN_ROOT": str(pod), "JOB_COMPLETION_INDEX": str(rank)}
        with (pod / "log").open("wb") as log:
            return subprocess.Popen(command, env=os.environ | changes, stderr=log, stdout=log), pod

    @staticmethod
    def _report(process: subprocess.Popen[bytes], pod: Path) -> dict[str, Any]:
        if process.wait():
            raise SystemExit((pod / "log").read_text(encoding="utf-8", errors="replace")[-4000:])
        report: dict[str, Any] = json.loads((pod / "termination-log").read_bytes())
        return report


def children_cpu() -> float:
    """Return the CPU seconds of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start_seconds() -> float:
    """Return the CPU seconds that a pod of `prepare` needs before it reads its first document."""
    before = children_cpu()
    code = "import pretrain_workloads.data.prepare, pretrain_workloads.data.dedup.minhash"
    subprocess.run([sys.executable, "-c", code], check=True)
    return children_cpu() - before
