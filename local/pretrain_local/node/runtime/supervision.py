"""Starts and stops attempts of containers: each has a supervisor process that outlives the node."""

import asyncio
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pretrain_local import procfs
from pretrain_local.atomic_files import write_atomically
from pretrain_local.node.runtime.attempts import is_running
from pretrain_local.node.runtime.container_config import Command
from pretrain_local.node.runtime.exits import (
    EXIT_FILE,
    NOT_STARTED,
    START_ERROR,
    Exit,
    write_exit,
)
from pretrain_local.node.runtime.survivors import MARKER_VARIABLE, kill_marked

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_POLL_SECONDS = 0.02


async def start(folder: Path, command: Command, memory_limit_bytes: int | None) -> None:
    """Start the attempt in `folder`; return when its program runs or has failed to start."""
    launch = {
        "argv": command.argv,
        "environment": command.environment | {MARKER_VARIABLE: f"{folder}/"},
        "directory": command.directory,
        "statusFlag": command.status_flag,
        "memoryLimitBytes": memory_limit_bytes,
    }
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Locked before launch.json makes the folder an attempt; the supervisor inherits the lock.
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_atomically(folder / "launch.json", json.dumps(launch))
        pid = _spawn(folder, lock)
    finally:
        os.close(lock)
    while not ((folder / "started.json").exists() or (folder / EXIT_FILE).exists()):
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


def write_refused(folder: Path, message: str) -> None:
    """Store an attempt in `folder` that ended before it began, because it can never start."""
    now = datetime.now(UTC)
    write_exit(folder, Exit(NOT_STARTED, START_ERROR, message, now, now))
    write_atomically(folder / "launch.json", "{}")


def supervisor_pid(folder: Path) -> int | None:
    """Return the pid of the supervisor of a running attempt."""
    try:
        started = json.loads((folder / "started.json").read_text())
    except (OSError, ValueError):
        return None
    pid = int(started["pid"])
    return pid if procfs.start_ticks(pid) == started["startTicks"] else None


def stop(folder: Path, grace_seconds: float) -> bool:
    """Have the supervisor stop its container within `grace_seconds`; return False if it is gone."""
    write_atomically(folder / "stop.json", json.dumps({"graceSeconds": grace_seconds}))
    pid = supervisor_pid(folder)
    if pid is None:
        return False
    procfs.send(pid, signal.SIGTERM)
    return True


def running_attempts(pods: Path) -> list[Path]:
    """Return the folders of the running attempts of all pods below `pods`."""
    return [folder for pod in pods.glob("*") for folder in running_attempts_of(pod)]


def running_attempts_of(pod: Path) -> list[Path]:
    """Return the folders of the running attempts of one pod."""
    return [file.parent for file in pod.glob("containers/*/*/lock") if is_running(file.parent)]


def any_running(pods: Path) -> bool:
    """Return whether a container of the pods below `pods` runs."""
    return bool(running_attempts(pods))


def stop_all(pods: Path, grace_seconds: float) -> None:
    """Stop every container below `pods` and kill what is left; the node must not run."""
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
