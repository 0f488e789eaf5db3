import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import UnsupportedOperation
from pathlib import Path

import pytest
from pydantic_core import from_json

from pretrain_api.reports import MAX_REPORT_BYTES, ExitClass, ExitReport
from pretrain_api.runs import TokenizerRun
from pretrain_api.v1alpha1.progress import CurvePoint
from pretrain_workloads.exit import (
    Preempted,
    classify,
    load_run,
    peak_memory,
    render_report,
    run_task,
)
from pretrain_workloads.failures import BadData, UserError

COMPLETE = ExitReport(exit_class=ExitClass.COMPLETE)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    # A task ends deaf to SIGTERM; this process, and all that later tests start, must not.
    heeded = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, heeded)


def read_report(root: Path) -> ExitReport:
    return ExitReport.model_validate_json((root / "termination-log").read_bytes())


@pytest.mark.parametrize(
    ("error", "want"),
    [
        (UserError("x"), ExitClass.USER_ERROR),
        (BadData("x"), ExitClass.BAD_DATA),
        (MemoryError(), ExitClass.OUT_OF_MEMORY),
        (Preempted(), ExitClass.PREEMPTED),
        (KeyboardInterrupt(), ExitClass.PREEMPTED),
        (OSError("disk"), ExitClass.INFRASTRUCTURE),
        (ConnectionResetError(), ExitClass.INFRASTRUCTURE),
        (TimeoutError(), ExitClass.INFRASTRUCTURE),
        (EOFError(), ExitClass.INFRASTRUCTURE),
        (UnsupportedOperation("a ValueError too"), ExitClass.INFRASTRUCTURE),
        (subprocess.TimeoutExpired("x", 1), ExitClass.INFRASTRUCTURE),
        (Exception("nobody knows it"), ExitClass.INFRASTRUCTURE),
        (ZeroDivisionError(), ExitClass.PROGRAM_ERROR),
        (TypeError(), ExitClass.PROGRAM_ERROR),
        (KeyError("k"), ExitClass.PROGRAM_ERROR),
        (AssertionError(), ExitClass.PROGRAM_ERROR),
        (ModuleNotFoundError(), ExitClass.PROGRAM_ERROR),
        (NotImplementedError(), ExitClass.PROGRAM_ERROR),
    ],
)
def test_an_exception_has_a_class(error: BaseException, want: ExitClass) -> None:
    assert classify(error) is want


def test_a_bug_that_a_lost_connection_caused_is_none() -> None:
    error = ValueError("no value")
    error.__cause__ = KeyError("k")
    assert classify(error) is ExitClass.PROGRAM_ERROR
    error.__cause__.__cause__ = ConnectionResetError()
    assert classify(error) is ExitClass.INFRASTRUCTURE
    error.__cause__.__cause__ = error  # whoever builds such a ring is answered, too
    assert classify(error) is ExitClass.PROGRAM_ERROR


def test_a_task_that_ends_well_says_what_it_used(root: Path) -> None:
    assert run_task(lambda: COMPLETE, rank=3) == 0
    report = read_report(root)
    assert (report.exit_class, report.rank) == (ExitClass.COMPLETE, 3)
    assert report.peak_memory_bytes > 1_000_000


def test_a_task_that_fails_says_why_in_one_sentence(root: Path) -> None:
    def main() -> ExitReport:
        raise UserError("spec.tokens: 3\nis too small")

    assert run_task(main) == 64
    assert read_report(root).message == "spec.tokens: 3 is too small"


def test_an_unexpected_error_is_named_with_its_type(root: Path) -> None:
    def main() -> ExitReport:
        raise ConnectionError("odd")

    assert run_task(main) == 1
    assert read_report(root).message == "ConnectionError: odd"


def test_a_bug_is_told_with_its_place(root: Path) -> None:
    def main() -> ExitReport:
        raise ValueError("odd")

    assert run_task(main) == 70
    report = read_report(root)
    assert report.exit_class is ExitClass.PROGRAM_ERROR
    want = r"ValueError: odd \(pretrain_workloads/test_exit\.py:\d+ in main\)"
    assert re.fullmatch(want, report.message)


@pytest.mark.parametrize("letter", ["x", "长"])
def test_a_long_message_leaves_room_for_the_place_of_a_bug(root: Path, letter: str) -> None:
    def main() -> ExitReport:
        raise ValueError(letter * 5_000)

    assert run_task(main) == 70
    want = rf"ValueError: {letter}+… \(pretrain_workloads/test_exit\.py:\d+ in main\)"
    message = read_report(root).message
    assert re.fullmatch(want, message)
    assert len(message) == 1200


def test_a_task_without_a_pod_around_it_still_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path / "absent"))
    assert run_task(lambda: COMPLETE) == 0


def test_a_terminated_task_reports_preemption(root: Path) -> None:
    def main() -> ExitReport:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
        raise AssertionError

    assert run_task(main) == 143
    assert read_report(root).exit_class is ExitClass.PREEMPTED


@pytest.mark.parametrize(
    "message", ["x" * 100_000, "长" * 5_000, "\U0001f600" * 3_000, '"' * 9_000]
)
def test_a_report_is_never_cut_by_kubernetes(message: str) -> None:
    report = ExitReport(
        exit_class=ExitClass.BAD_DATA,
        message=message,
        counts={f"rule-{number}": number for number in range(200)},
        curve=[CurvePoint(step=step, loss=1.0) for step in range(24)],
    )
    rendered = render_report(report)
    assert len(rendered) <= MAX_REPORT_BYTES
    parsed = ExitReport.model_validate(from_json(rendered))
    assert parsed.exit_class is ExitClass.BAD_DATA
    assert parsed.message.startswith(message[:100])


def test_a_small_report_is_left_whole() -> None:
    report = ExitReport(exit_class=ExitClass.COMPLETE, counts={"read": 7})
    assert ExitReport.model_validate(from_json(render_report(report))) == report


def test_a_missing_spec_says_where_it_should_be(root: Path) -> None:
    with pytest.raises(UserError, match=r"spec.json: the run's spec cannot be read"):
        load_run(TokenizerRun)


def test_a_broken_spec_is_the_users_to_mend(root: Path) -> None:
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


def test_peak_memory_does_not_count_what_the_parent_had() -> None:
    block = bytearray(300_000_000)
    block[::4096] = b"x" * len(block[::4096])
    code = "from pretrain_workloads.exit import peak_memory; print(peak_memory())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(out.stdout) < 250_000_000
    assert peak_memory() > 300_000_000
