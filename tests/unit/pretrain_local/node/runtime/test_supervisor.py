"""Real containers without a cluster: the supervisor and the files that it writes."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pods import make_container
from pretrain_local import procfs
from pretrain_local.node.api.pods import Container
from pretrain_local.node.runtime import attempts, supervision
from pretrain_local.node.runtime.container_config import Command
from pretrain_local.node.runtime.exits import Exit
from pretrain_local.node.runtime.termination import termination_message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    attempt = attempts.attempt_folder(tmp_path, "main", 0)
    attempt.mkdir(parents=True)
    return attempt


def start(folder: Path, script: str, memory_limit_bytes: int | None = None) -> None:
    argv = [sys.executable, "-c", f"import os, signal, sys, time\n{script}"]
    command = Command(argv, {"PATH": "/usr/bin:/bin"}, str(folder))
    asyncio.run(supervision.start(folder, command, memory_limit_bytes))


def wait_for(is_met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not is_met():
        assert time.monotonic() < deadline
        procfs.reap_all()
        time.sleep(0.01)


def end(folder: Path) -> Exit:
    wait_for(lambda: not attempts.is_running(folder))
    ended = attempts.read_attempt(folder).exit
    assert ended is not None
    return ended


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        ("", 0, "Completed"),
        ("sys.exit(65)", 65, "Error"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 139, "Error"),
    ],
)
def test_exit_codes_are_stored(folder: Path, script: str, code: int, reason: str) -> None:
    start(folder, script)
    ended = end(folder)
    assert (ended.code, ended.reason) == (code, reason)
    assert ended.started_at <= ended.finished_at


def test_a_container_runs_until_it_is_stopped(folder: Path) -> None:
    start(folder, "signal.signal(15, lambda *_: sys.exit(7)); print('on', flush=True)\n"
          "while True: time.sleep(1)")  # fmt: skip
    wait_for(lambda: (folder / "log").read_text() == "on\n")
    assert attempts.read_attempt(folder).exit is None
    assert supervision.stop(folder, 10.0)
    assert end(folder).code == 7


def test_a_container_that_ignores_sigterm_is_killed_with_all_its_children(folder: Path) -> None:
    start(folder, "import subprocess; signal.signal(15, signal.SIG_IGN)\n"
          "print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True)\n"
          "time.sleep(60)")  # fmt: skip
    wait_for(lambda: (folder / "log").read_text().endswith("\n"))
    child = int((folder / "log").read_text())
    supervision.stop(folder, 0.1)
    assert end(folder).code == 137
    assert procfs.start_ticks(child) is None


def test_a_container_above_its_memory_limit_ends_as_oom_killed(folder: Path) -> None:
    start(folder, "held = b'x' * 200_000_000; time.sleep(60)", 50_000_000)
    ended = end(folder)
    assert (ended.code, ended.reason) == (137, "OOMKilled")
    assert "50000000 bytes" in ended.message


def test_a_program_that_cannot_start_ends_with_the_reason(folder: Path) -> None:
    command = Command(["/no/such/program"], {}, str(folder))
    asyncio.run(supervision.start(folder, command, None))
    ended = end(folder)
    assert (ended.code, ended.reason) == (128, "StartError")
    assert ended.message == "/no/such/program: No such file or directory"


def test_a_container_that_lost_its_supervisor_is_killed_and_unknown(
    folder: Path,
) -> None:
    start(folder, "print(os.getpid(), flush=True); time.sleep(60)")
    wait_for(lambda: (folder / "log").read_text().endswith("\n"))
    child = int((folder / "log").read_text())
    supervisor = supervision.supervisor_pid(folder)
    assert supervisor is not None
    assert not attempts.has_lost_supervisor(folder.parents[2], "main")
    procfs.send(supervisor, signal.SIGKILL)
    wait_for(lambda: attempts.has_lost_supervisor(folder.parents[2], "main"))
    ended = end(folder)
    assert not attempts.has_lost_supervisor(folder.parents[2], "main"), "its exit is stored"
    assert (ended.code, ended.reason) == (137, "ContainerStatusUnknown")
    assert procfs.start_ticks(child) is None
    assert attempts.read_attempt(folder).exit == ended, "the stored exit stays"


def test_a_folder_without_launch_file_is_no_attempt(folder: Path) -> None:
    assert not attempts.has_lost_supervisor(folder.parents[2], "main")
    assert attempts.latest_attempt(folder.parents[2], "main") is None


@pytest.mark.parametrize(
    ("policy", "code", "written", "want"),
    [
        ("File", 1, "report", "report"),
        ("File", 1, "", ""),
        ("FallbackToLogsOnError", 1, "", "last words\n"),
        ("FallbackToLogsOnError", 0, "", ""),
        ("FallbackToLogsOnError", 1, "x" * 5000, "x" * 4096),
    ],
)
def test_termination_messages(
    folder: Path, policy: str, code: int, written: str, want: str
) -> None:
    (folder / "termination-log").write_text(written)
    start(folder, f"print('last words'); sys.exit({code})")
    end(folder)
    container = Container.model_validate(make_container("", terminationMessagePolicy=policy))
    assert termination_message(container, attempts.read_attempt(folder)) == want
