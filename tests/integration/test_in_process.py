"""What CONTRIBUTING.md says of the debugger: a stage and a step run in one process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).resolve().parents[1] / "in_process.py"


def run(*arguments: str) -> str:
    """Return what the script prints."""
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_data_stage_runs_in_one_process() -> None:
    report = json.loads(run("stage", "prepare"))
    assert report["class"] == "complete"
    assert report["counts"]["read"] > 0


def test_an_optimizer_step_runs_in_one_process() -> None:
    last = run("step").strip().splitlines()[-1]
    assert last.startswith("step 1: loss 5.")
