"""The attempts of containers, read from disk: a restarted node knows what the last one knew.

Attempt N of a container is the folder `containers/<container>/<N>` of its pod's folder. The
supervisor, which runs the container, holds `lock` while it lives and writes:

    launch.json    the command; its presence makes the folder an attempt
    started.json   the supervisor's pid, and when the container started
    exit.json      how the container ended
    log            standard output and error
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pretrain_local.node.runtime.exits import EXIT_FILE, Exit, read_exit, write_exit
from pretrain_local.node.runtime.survivors import kill_marked

_LOST_CODE = 137
"""Exit code of a container whose end was not observed, as a kubelet reports it."""
_LOST_REASON = "ContainerStatusUnknown"
_VANISHED = "the container's supervisor vanished; the container's exit code is unknown"
_LOG_CHARACTERS = 500
"""How much of the supervisor's log goes into the message."""


@dataclass(frozen=True)
class Attempt:
    """One start of a container."""

    folder: Path
    number: int
    """Number of earlier attempts."""
    started_at: datetime
    exit: Exit | None
    """None while it runs."""


@dataclass(frozen=True)
class ObservedAttempts:
    """The attempts of a pod's containers, by name of the container."""

    latest: Mapping[str, Attempt | None]
    """None for a container that was never started."""
    previous: Mapping[str, Attempt] = field(default_factory=dict)
    """The attempt before the latest one, where it is still on disk."""
    messages: Mapping[str, str] = field(default_factory=dict)
    """Termination messages of the latest attempts, where they have ended."""

    @property
    def running(self) -> list[Attempt]:
        """Return the attempts that run."""
        return [a for a in self.latest.values() if a is not None and a.exit is None]


def attempt_folder(pod: Path, container: str, number: int) -> Path:
    """Return the folder of attempt `number`, below its pod's folder."""
    return pod / "containers" / container / str(number)


def pod_folder(attempt: Path) -> Path:
    """Return the pod's folder that holds the folder `attempt`."""
    return attempt.parents[2]


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


def latest_attempt(pod: Path, container: str) -> Attempt | None:
    """Return the latest attempt of a container; None means that it was never started."""
    numbers = attempt_numbers(pod, container)
    if not numbers:
        return None
    return read_attempt(attempt_folder(pod, container, numbers[-1]))


def read_attempt(folder: Path) -> Attempt:
    """Return the attempt in `folder`; if its supervisor has vanished, kill what is left of it."""
    # In this order: a supervisor that ends in between has written its exit file.
    runs = is_running(folder)
    ended = read_exit(folder)
    started = _started_at(folder)
    if ended is None and not runs:
        ended = _end_lost(folder, started)
    return Attempt(folder, int(folder.name), ended.started_at if ended else started, ended)


def has_lost_supervisor(pod: Path, container: str) -> bool:
    """Return whether the latest attempt of a container neither runs nor has an exit file."""
    numbers = attempt_numbers(pod, container)
    if not numbers:
        return False
    folder = attempt_folder(pod, container, numbers[-1])
    return not is_running(folder) and not (folder / EXIT_FILE).exists()


def is_running(folder: Path) -> bool:
    """Return whether a supervisor holds the lock of the attempt in `folder`."""
    try:
        with open(folder / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def write_lost(folder: Path, started: datetime, message: str) -> Exit:
    """Store that the end of the attempt in `folder` was not observed."""
    ended = Exit(_LOST_CODE, _LOST_REASON, message, started, datetime.now().astimezone())
    write_exit(folder, ended)
    return ended


def _started_at(folder: Path) -> datetime:
    """Return when the attempt started; the folder's time if that is not stored."""
    try:
        document = json.loads((folder / "started.json").read_text())
        return datetime.fromisoformat(document["startedAt"])
    except (OSError, ValueError, KeyError):
        return datetime.fromtimestamp(folder.stat().st_mtime).astimezone()


def _end_lost(folder: Path, started: datetime) -> Exit:
    """Kill the processes of an attempt without supervisor, and store its end."""
    survivors = kill_marked(folder)
    message = f"{_VANISHED}; still alive after SIGKILL: {survivors}" if survivors else _VANISHED
    try:
        log = (folder / "supervisor.log").read_text(errors="replace")[-_LOG_CHARACTERS:]
    except OSError:
        log = ""
    return write_lost(folder, started, f"{message}\n{log}".strip())
