"""How a workload ends: with one report and one exit code, whatever happens."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import TokenizerRun
from pretrain_workloads import task
from pretrain_workloads.failures import Preempted, UserError
from pretrain_workloads.task import load_run, run_task

COMPLETE = ExitReport(exit_class=ExitClass.COMPLETE)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    # A task ends with SIGTERM ignored; the processes of later tests would inherit that.
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)


def read_report(root: Path) -> ExitReport:
    return ExitReport.model_validate_json((root / "termination-log").read_bytes())


def test_a_task_that_succeeds_reports_its_resources(root: Path) -> None:
    assert run_task(lambda: COMPLETE, rank=3) == 0
    report = read_report(root)
    assert (report.exit_class, report.rank) == (ExitClass.COMPLETE, 3)
    assert report.peak_memory_bytes > 1_000_000


def test_a_task_that_fails_reports_why_in_one_sentence(root: Path) -> None:
    def main() -> ExitReport:
        raise UserError("spec.tokens: 3\nis too small")

    assert run_task(main) == 64
    assert read_report(root).message == "spec.tokens: 3 is too small"


def test_an_unexpected_error_is_named_with_its_type(root: Path) -> None:
    def main() -> ExitReport:
        raise ConnectionError("odd")

    assert run_task(main) == 1
    assert read_report(root).message == "ConnectionError: odd"


def test_a_bug_is_reported_with_its_place(root: Path) -> None:
    def main() -> ExitReport:
        raise ValueError("odd")

    assert run_task(main) == 70
    report = read_report(root)
    assert report.exit_class is ExitClass.PROGRAM_ERROR
    want = r"ValueError: odd \(pretrain_workloads/test_task\.py:\d+ in main\)"
    assert re.fullmatch(want, report.message)


@pytest.mark.parametrize("letter", ["x", "长"])
def test_a_long_message_leaves_room_for_the_place_of_a_bug(root: Path, letter: str) -> None:
    def main() -> ExitReport:
        raise ValueError(letter * 5_000)

    assert run_task(main) == 70
    want = rf"ValueError: {letter}+… \(pretrain_workloads/test_task\.py:\d+ in main\)"
    message = read_report(root).message
    assert re.fullmatch(want, message)
    assert len(message) == 1200


def test_a_task_outside_a_pod_still_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path / "absent"))
    assert run_task(lambda: COMPLETE) == 0


def test_a_terminated_task_reports_preemption(root: Path) -> None:
    def main() -> ExitReport:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
        raise AssertionError

    assert run_task(main) == 143
    assert read_report(root).exit_class is ExitClass.PREEMPTED


def test_a_missing_spec_says_where_it_should_be(root: Path) -> None:
    with pytest.raises(UserError, match=r"spec.json: the run's spec cannot be read"):
        load_run(TokenizerRun)


def test_a_broken_spec_is_a_user_error(root: Path) -> None:
    (root / "spec").mkdir()
    (root / "spec" / "spec.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"is not JSON"):
        load_run(TokenizerRun)


@pytest.mark.parametrize("module", ["data", "dataset", "tokenizer", "trainer"])
def test_an_entry_point_ends_with_a_report(module: str, root: Path) -> None:
    (root / "spec").mkdir()
    (root / "spec" / "spec.json").write_text(json.dumps({"name": 1}), encoding="utf-8")
    stage = {"data": ["list"], "dataset": ["seal"], "tokenizer": [], "trainer": []}[module]
    command = [sys.executable, "-m", f"pretrain_workloads.{module}", *stage]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 64, done.stderr
    assert "run.name" in read_report(root).message


def test_a_signal_whose_exception_python_dropped_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(task, "_signalled", [])
    task.check_preempted()
    with suppress(Preempted):  # as Python does in a hook of its own
        task._preempt(signal.SIGTERM, None)
    with pytest.raises(Preempted, match="signal SIGTERM: the node asked the pod to end"):
        task.check_preempted()
