"""How a workload ends: with one report and one exit code, whatever happens."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import TokenizerRun
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import open_uri, read_manifest, seal_manifest
from pretrain_workloads.task import (
    load_run,
    run_again_if_complete,
    run_task,
    run_unless_complete,
)

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


def test_a_request_to_end_that_python_drops_is_raised_again(tmp_path: Path) -> None:
    """Python drops what is raised in a finalizer, or around a fork in a hook of `logging`."""
    program = (
        "import os, signal, sys, time\n"
        "from pretrain_workloads.task import run_program\n"
        "class Dropped:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "def main():\n"
        "    Dropped()\n"
        "    print('went on', flush=True)\n"
        "    time.sleep(30)\n"
        "    raise AssertionError('the request was lost')\n"
        "run_program(main)\n"
    )
    environment = {**os.environ, "PRETRAIN_ROOT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=25,
        check=False,
    )
    assert done.stdout == "went on\n"
    assert done.returncode == ExitClass.PREEMPTED.exit_code


@pytest.mark.parametrize("run_it", [run_unless_complete, run_again_if_complete])
def test_a_task_that_fails_beside_an_artifact_that_another_object_completes_is_done(
    run_it: Callable[..., ExitReport], tmp_path: Path
) -> None:
    folder = open_uri(tmp_path.as_uri())

    def fail_while_another_completes() -> ExitReport:
        if read_manifest(folder) is None:
            seal_manifest(folder, kind="DataPipeline", name="a", digest="0" * 64, spec={})
            raise UserError("work/models.json: does not exist")
        return ExitReport(exit_class=ExitClass.COMPLETE)

    assert run_it(folder, fail_while_another_completes).exit_class is ExitClass.COMPLETE


@pytest.mark.parametrize("run_it", [run_unless_complete, run_again_if_complete])
def test_a_task_that_fails_beside_no_artifact_has_failed(
    run_it: Callable[..., ExitReport], tmp_path: Path
) -> None:
    def fail() -> ExitReport:
        raise UserError("work/models.json: does not exist")

    with pytest.raises(UserError, match="does not exist"):
        run_it(open_uri(tmp_path.as_uri()), fail)


def test_a_stage_in_between_has_nothing_to_do_for_a_complete_artifact(tmp_path: Path) -> None:
    folder = open_uri(tmp_path.as_uri())
    seal_manifest(folder, kind="DataPipeline", name="a", digest="0" * 64, spec={})

    def fail() -> ExitReport:
        raise AssertionError("it ran")

    assert run_unless_complete(folder, fail).exit_class is ExitClass.COMPLETE
