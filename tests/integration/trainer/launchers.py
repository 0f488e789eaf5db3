"""The launcher of a pod as a process of its own, as in Kubernetes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from pretrain_api.reports import ExitReport


class LauncherPod:
    """A launcher as its own process."""

    def __init__(self, root: Path, rank: int, address: str, environment: dict[str, str]) -> None:
        self.root, self.address = root, address
        self.log = root / "log.txt"
        variables = {
            "PRETRAIN_ROOT": str(root),
            "POD_IP": address,
            "JOB_COMPLETION_INDEX": str(rank),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pretrain_workloads.trainer"],
                env={**os.environ, **variables, **environment},
                stderr=log,
            )

    def wait_for(self, is_true: Callable[[], bool]) -> None:
        """Wait until something is true while the pod lives."""
        while not is_true():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    @property
    def step(self) -> int:
        """Return the last step that rank 0 has done."""
        return self.log.read_text().count("INFO step ")

    @property
    def goes_on_after_a_checkpoint(self) -> bool:
        """Return whether rank 0 has done a step after a checkpoint became durable."""
        _, saved, rest = self.log.read_text().partition("INFO checkpoint of step ")
        return bool(saved) and "INFO step " in rest

    @property
    def ranks(self) -> list[psutil.Process]:
        """Return the processes below the agent."""
        children = psutil.Process(self.process.pid).children()
        return [rank for agent in children for rank in agent.children()]

    def report(self) -> ExitReport:
        """Wait for the end and return the termination message."""
        code = self.process.wait(200)
        text = (self.root / "termination-log").read_bytes()
        assert len(text) <= 4096
        report = ExitReport.model_validate_json(text)
        assert report.exit_class.exit_code == code
        return report


StartLaunchers = Callable[[dict[str, Any]], list[LauncherPod]]
"""Starts the launchers of an attempt."""
