"""Containers on disk: each attempt has a folder that its supervisor and the node share.

What is written there is all that the node knows, so a restarted node knows the same.
"""

import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pretrain_local import procfs
from pretrain_local.atomic_files import write_atomically
from pretrain_local.node.runtime.container_config import Command
from pretrain_local.state import MARKER_VARIABLE

_log = logging.getLogger(__name__)

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
NOT_STARTED = 128
"""Exit code of a container that could not be started, as container runtimes give it."""
_LOST_CODE = 137
"""Exit code of a container whose end no one saw, as a kubelet gives it."""
_VANISHED = "the container's supervisor vanished, so no one saw how the container ended"
_SAID_CHARACTERS = 500
_POLL_SECONDS = 0.02
_KILL_SECONDS = 5.0
"""How long killed processes may take to end: one in the kernel's hands may never."""


@dataclass(frozen=True)
class Exit:
    """How an attempt ended."""

    code: int
    reason: str
    message: str
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True)
class Attempt:
    """One start of a container."""

    folder: Path
    number: int
    """How often the container had been restarted."""
    started_at: datetime
    exit: Exit | None
    """None means that it runs."""


def attempt_folder(pod: Path, container: str, number: int) -> Path:
    """Return where attempt `number` of a container lies below its pod's folder."""
    return pod / "containers" / container / str(number)


def observe(pod: Path, container: str) -> Attempt | None:
    """Return the newest attempt of a container; None means that it was never started."""
    numbers = attempt_numbers(pod, container)
    if not numbers:
        return None
    return read_attempt(attempt_folder(pod, container, numbers[-1]))


def attempt_numbers(pod: Path, container: str) -> list[int]:
    """Return the attempts of a container that are still on disk, oldest first."""
    try:
        names = os.listdir(pod / "containers" / container)
    except OSError:
        return []
    return sorted(
        int(name)
        for name in names
        if name.isdigit() and (pod / "containers" / container / name / "launch.json").exists()
    )


def read_attempt(folder: Path) -> Attempt:
    """Return what is written about the attempt in `folder`."""
    # Asked first: a supervisor that ends between the two questions has written its answer.
    runs = is_running(folder)
    ended = _read_exit(folder)
    started = _moment(folder / "started.json", "startedAt")
    if ended is None and not runs:
        ended = _vanished(folder, started)
    return Attempt(folder, int(folder.name), ended.started_at if ended else started, ended)


def has_vanished(pod: Path, container: str) -> bool:
    """Return whether the newest attempt of a container lost its supervisor, and nothing says so."""
    numbers = attempt_numbers(pod, container)
    if not numbers:
        return False
    folder = attempt_folder(pod, container, numbers[-1])
    return not is_running(folder) and not (folder / "exit.json").exists()


def is_running(folder: Path) -> bool:
    """Return whether a supervisor holds the folder's lock."""
    try:
        with open(folder / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _read_exit(folder: Path) -> Exit | None:
    try:
        written = json.loads((folder / "exit.json").read_text())
    except OSError:
        return None
    return Exit(
        code=int(written["code"]),
        reason=written["reason"],
        message=written["message"],
        started_at=datetime.fromisoformat(written["startedAt"]),
        finished_at=datetime.fromisoformat(written["finishedAt"]),
    )


def _moment(file: Path, key: str) -> datetime:
    """Return a time that is written in `file`, or that of the folder if there is none."""
    try:
        return datetime.fromisoformat(json.loads(file.read_text())[key])
    except (OSError, ValueError, KeyError):
        return datetime.fromtimestamp(file.parent.stat().st_mtime).astimezone()


def _vanished(folder: Path, started: datetime) -> Exit:
    """End what is left of an attempt whose supervisor is gone, and say so."""
    survivors = kill_marked(folder)
    told = f"{_VANISHED}; not gone though killed: {survivors}" if survivors else _VANISHED
    try:
        said = (folder / "supervisor.log").read_text(errors="replace")[-_SAID_CHARACTERS:]
    except OSError:
        said = ""
    return write_lost(folder, started, f"{told}\n{said}".strip())


def write_lost(folder: Path, started: datetime, message: str) -> Exit:
    """Write down that no one saw the end of the attempt in `folder`."""
    now = datetime.now().astimezone()
    lost = Exit(_LOST_CODE, "ContainerStatusUnknown", message, started, now)
    written = {
        "code": lost.code,
        "reason": lost.reason,
        "message": lost.message,
        "startedAt": started.isoformat(),
        "finishedAt": now.isoformat(),
    }
    write_atomically(folder / "exit.json", json.dumps(written))
    return lost


def kill_marked(folder: Path, seconds: float = _KILL_SECONDS) -> list[int]:
    """Kill every process that was started in a container whose folder is, or is in, `folder`.

    Return those that had not ended after `seconds`; the log names them too.
    """
    marker = f"{MARKER_VARIABLE}={folder}/"
    survivors = kill_found(lambda: procfs.with_environment(marker), seconds)
    if survivors:
        _log.warning("%s: killed, but not gone after %g s: %s", folder, seconds, survivors)
    return survivors


def kill_found(find: Callable[[], list[int]], seconds: float) -> list[int]:
    """Kill what `find` returns until it returns nothing; after `seconds`, return the rest.

    A killed process cannot be found any more some time before its files and ports are free, so
    whatever was found once is waited for.
    """
    deadline = time.monotonic() + seconds
    seen: dict[int, int] = {}
    while True:
        found = find()
        seen |= {pid: ticks for pid in found if (ticks := procfs.start_ticks(pid)) is not None}
        lingering = {pid for pid, ticks in seen.items() if procfs.start_ticks(pid) == ticks}
        remaining = sorted(lingering.union(found))
        if not remaining:
            return []
        for pid in remaining:
            procfs.send(pid, signal.SIGKILL)
        if time.monotonic() >= deadline:
            return remaining
        time.sleep(_POLL_SECONDS)


async def start(folder: Path, command: Command, memory_limit_bytes: int | None) -> None:
    """Start the attempt that lies in `folder`, and wait until its program runs or has failed."""
    launch = {
        "argv": command.argv,
        "environment": command.environment | {MARKER_VARIABLE: f"{folder}/"},
        "directory": command.directory,
        "statusFlag": command.status_flag,
        "memoryLimitBytes": memory_limit_bytes,
    }
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Held from before the folder counts as an attempt, and inherited: no moment is unlocked.
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_atomically(folder / "launch.json", json.dumps(launch))
        pid = _spawn(folder, lock)
    finally:
        os.close(lock)
    while not ((folder / "started.json").exists() or (folder / "exit.json").exists()):
        if procfs.start_ticks(pid) is None:
            return
        await asyncio.sleep(_POLL_SECONDS)


def _spawn(folder: Path, lock: int) -> int:
    null = os.open(os.devnull, os.O_RDWR)
    os.set_inheritable(lock, True)
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", str(_SUPERVISOR), str(folder), str(lock)],
            {"PATH": os.defpath, "LANG": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, null, 1),
                (os.POSIX_SPAWN_OPEN, 2, str(folder / "supervisor.log"),
                 os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            ],
            setsid=True,
            setsigmask=[],
        )  # fmt: skip
    finally:
        os.close(null)


def supervisor_pid(folder: Path) -> int | None:
    """Return the pid of the supervisor of a running attempt."""
    try:
        written = json.loads((folder / "started.json").read_text())
    except (OSError, ValueError):
        return None
    pid = int(written["pid"])
    return pid if procfs.start_ticks(pid) == written["startTicks"] else None


def stop(folder: Path, grace_seconds: float) -> bool:
    """Ask a running attempt to end within `grace_seconds`; return whether it could be asked."""
    write_atomically(folder / "stop.json", json.dumps({"graceSeconds": grace_seconds}))
    pid = supervisor_pid(folder)
    if pid is None:
        return False
    procfs.send(pid, signal.SIGTERM)
    return True


def running_attempts(pods: Path) -> list[Path]:
    """Return the folders of all attempts that run below `pods`."""
    return [file.parent for file in pods.glob("*/containers/*/*/lock") if is_running(file.parent)]


def any_running(pods: Path) -> bool:
    """Return whether a container of the cluster runs."""
    return bool(running_attempts(pods))


def stop_all(pods: Path, grace_seconds: float) -> None:
    """Stop every container below `pods`, with no node alive, and leave no process behind."""
    running = running_attempts(pods)
    for folder in running:
        stop(folder, grace_seconds)
    wait_stopped(running, grace_seconds + 5)
    if pods.exists():
        kill_marked(pods)


def wait_stopped(folders: Sequence[Path], seconds: float) -> None:
    """Wait until the attempts in `folders` have ended, at most `seconds`."""
    deadline = time.monotonic() + seconds
    while any(is_running(folder) for folder in folders) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
