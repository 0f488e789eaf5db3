"""Processes: found again by pid and start time, stopped by SIGTERM, then by SIGKILL."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain_local import procfs
from pretrain_local.processes import Processes

_SAY_READY = "print('ready', flush=True);"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path / "run", tmp_path / "logs")
    yield started
    for record in (tmp_path / "run").glob("*.json"):
        started.stop(record.stem, 0.0)


def _start(processes: Processes, script: str) -> int:
    processes.start("one", [sys.executable, "-c", f"import signal, time;{script}"])
    pid = processes.pid("one")
    assert pid is not None
    return pid


def _wait_for_log(processes: Processes) -> None:
    deadline = time.monotonic() + 10
    while "ready" not in processes.tail("one"):
        assert time.monotonic() < deadline
        os.sched_yield()


def test_a_process_is_stopped_by_its_name(processes: Processes) -> None:
    pid = _start(processes, "time.sleep(60)")
    processes.stop("one", 5.0)
    assert procfs.start_ticks(pid) is None
    assert processes.pid("one") is None
    assert not processes.has("one")


def test_a_process_that_ignores_the_request_is_killed(processes: Processes) -> None:
    script = f"signal.signal(signal.SIGTERM, signal.SIG_IGN);{_SAY_READY}time.sleep(60)"
    pid = _start(processes, script)
    _wait_for_log(processes)
    processes.stop("one", 0.1)
    assert procfs.start_ticks(pid) is None


def test_the_log_of_a_dead_process_is_kept(processes: Processes) -> None:
    _start(processes, f"{_SAY_READY}raise SystemExit('what went wrong')")
    deadline = time.monotonic() + 10
    while processes.pid("one") is not None:
        assert time.monotonic() < deadline
        os.sched_yield()
    assert processes.has("one")
    assert processes.tail("one", 1) == "what went wrong"


def test_a_process_whose_first_thread_has_ended_still_holds_its_ports(
    processes: Processes,
) -> None:
    work = f"import time;{_SAY_READY}time.sleep(60)"  # it sees the names of `threading` only
    script = (
        "import ctypes, threading;"
        f"threading.Thread(target=exec, args=({work!r},)).start();"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    pid = _start(processes, script)
    _wait_for_log(processes)
    deadline = time.monotonic() + 10
    while "zombie" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline
        os.sched_yield()
    assert processes.pid("one") == pid
    assert pid in procfs.with_environment(f"PATH={os.environ['PATH']}")
    processes.stop("one", 0.1)
    assert procfs.start_ticks(pid) is None


def test_a_reused_pid_is_not_taken_for_the_process(processes: Processes, tmp_path: Path) -> None:
    _start(processes, "time.sleep(60)")
    record = tmp_path / "run" / "one.json"
    written = record.read_text()
    stolen = {"pid": os.getpid(), "startTicks": 1}
    record.write_text(json.dumps(stolen))
    assert processes.pid("one") is None
    record.write_text(written)


def test_descendants_are_found_through_sessions() -> None:
    read, write = os.pipe()
    script = "sleep 60 & echo; wait"
    pid = os.posix_spawn(
        "/bin/sh", ["sh", "-c", script], {"PATH": os.defpath}, setsid=True,
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)],
    )  # fmt: skip
    try:
        os.read(read, 1)
        assert pid in procfs.descendants(os.getpid())
        assert len(procfs.descendants(pid)) == 1
    finally:
        for each in [pid, *procfs.descendants(pid)]:
            os.kill(each, 9)
        os.waitpid(pid, 0)
        os.close(read)
        os.close(write)
