"""Real containers without a cluster: the supervisor and what it leaves on disk."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pods import make_container
from pretrain_local import procfs
from pretrain_local.node.api.pods import Container
from pretrain_local.node.logs import tail_offset
from pretrain_local.node.runtime import attempts as containers
from pretrain_local.node.runtime.container_config import Command
from pretrain_local.node.runtime.termination import termination_message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = containers.attempt_folder(tmp_path, "main", 0)
    found.mkdir(parents=True)
    return found


def start(folder: Path, script: str, memory_limit_bytes: int | None = None) -> None:
    argv = [sys.executable, "-c", f"import os, signal, sys, time\n{script}"]
    command = Command(argv, {"PATH": "/usr/bin:/bin"}, str(folder))
    asyncio.run(containers.start(folder, command, memory_limit_bytes))


def wait_for(is_met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not is_met():
        assert time.monotonic() < deadline
        procfs.reap_all()
        time.sleep(0.01)


def end(folder: Path) -> containers.Exit:
    wait_for(lambda: not containers.is_running(folder))
    ended = containers.read_attempt(folder).exit
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
def test_exit_codes_are_kept(folder: Path, script: str, code: int, reason: str) -> None:
    start(folder, script)
    ended = end(folder)
    assert (ended.code, ended.reason) == (code, reason)
    assert ended.started_at <= ended.finished_at


def test_a_container_runs_until_it_is_asked_to_stop(folder: Path) -> None:
    start(folder, "signal.signal(15, lambda *_: sys.exit(7)); print('on', flush=True)\n"
          "while True: time.sleep(1)")  # fmt: skip
    wait_for(lambda: (folder / "log").read_text() == "on\n")
    assert containers.read_attempt(folder).exit is None
    assert containers.stop(folder, 10.0)
    assert end(folder).code == 7


def test_a_deaf_container_is_killed_with_all_its_children(folder: Path) -> None:
    start(folder, "import subprocess; signal.signal(15, signal.SIG_IGN)\n"
          "print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True)\n"
          "time.sleep(60)")  # fmt: skip
    wait_for(lambda: (folder / "log").read_text().endswith("\n"))
    child = int((folder / "log").read_text())
    containers.stop(folder, 0.1)
    assert end(folder).code == 137
    assert procfs.start_ticks(child) is None


def test_too_much_memory_is_called_by_its_name(folder: Path) -> None:
    start(folder, "held = b'x' * 200_000_000; time.sleep(60)", 50_000_000)
    ended = end(folder)
    assert (ended.code, ended.reason) == (137, "OOMKilled")
    assert "50000000 bytes" in ended.message


def test_a_program_that_cannot_start_says_why(folder: Path) -> None:
    command = Command(["/no/such/program"], {}, str(folder))
    asyncio.run(containers.start(folder, command, None))
    ended = end(folder)
    assert (ended.code, ended.reason) == (128, "StartError")
    assert ended.message == "/no/such/program: No such file or directory"


def test_a_container_whose_supervisor_was_killed_is_ended_and_called_lost(folder: Path) -> None:
    start(folder, "print(os.getpid(), flush=True); time.sleep(60)")
    wait_for(lambda: (folder / "log").read_text().endswith("\n"))
    child = int((folder / "log").read_text())
    supervisor = containers.supervisor_pid(folder)
    assert supervisor is not None
    assert not containers.has_vanished(folder.parents[2], "main")
    procfs.send(supervisor, signal.SIGKILL)
    wait_for(lambda: containers.has_vanished(folder.parents[2], "main"))
    ended = end(folder)
    assert not containers.has_vanished(folder.parents[2], "main"), "its end is written down"
    assert (ended.code, ended.reason) == (137, "ContainerStatusUnknown")
    assert procfs.start_ticks(child) is None
    assert containers.read_attempt(folder).exit == ended, "said once, it stays so"


def test_killing_gives_up_on_what_does_not_go() -> None:
    # A dead child that is not collected stays, whatever is sent to it.
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {})
    assert containers.kill_found(lambda: [pid], 0.1) == [pid]
    os.waitpid(pid, 0)


def test_killing_waits_for_what_cannot_be_found_any_more() -> None:
    # A killed process loses its environment first, and its files and ports some time later.
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    found = iter([[pid]])
    assert containers.kill_found(lambda: next(found, []), 10) == []
    assert procfs.start_ticks(pid) is None
    os.waitpid(pid, 0)


def test_what_never_began_is_no_attempt(folder: Path) -> None:
    assert not containers.has_vanished(folder.parents[2], "main")
    assert containers.observe(folder.parents[2], "main") is None


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
    assert termination_message(container, containers.read_attempt(folder)) == want


@pytest.mark.parametrize(
    ("text", "lines", "want"),
    [
        ("a\nb\nc\n", 2, "b\nc\n"),
        ("a\nb\nc", 2, "b\nc"),
        ("a\nb\n", 5, "a\nb\n"),
        ("a\nb\n", 0, ""),
        ("", 3, ""),
        ("a\n", None, "a\n"),
        ("x" * 70_000 + "\ny\n", 1, "y\n"),
    ],
)
def test_the_tail_of_a_log(tmp_path: Path, text: str, lines: int | None, want: str) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    assert text[tail_offset(path, lines) :] == want
