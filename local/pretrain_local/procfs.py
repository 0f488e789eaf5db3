"""Processes in `/proc`; pid and start time together identify one, since pids are reused.

Standard library only: the supervisor of each container imports it in a bare interpreter.
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

_STATE, _PARENT, _THREADS, _START = 0, 1, 17, 19
"""Fields of `/proc/<pid>/stat` after the command's closing parenthesis (see proc(5))."""


def start_ticks(pid: int) -> int | None:
    """Return the start time of `pid`, in clock ticks since boot; None if it is dead or a zombie."""
    fields = _stat(pid)
    return None if fields is None or _is_dead(fields) else int(fields[_START])


def _is_dead(fields: Sequence[str]) -> bool:
    """Return whether all threads have ended.

    The kernel reports a zombie as soon as the main thread has ended. Until the other threads have
    ended too, the files and ports of the process are still in use.
    """
    return fields[_STATE] == "X" or (fields[_STATE] == "Z" and int(fields[_THREADS]) <= 1)


def parent(pid: int) -> int | None:
    """Return the parent of `pid`, or None if `pid` does not exist."""
    fields = _stat(pid)
    return None if fields is None else int(fields[_PARENT])


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def pids() -> list[int]:
    """Return the pids of all processes of the machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(root: int) -> list[int]:
    """Return the living processes below `root`, parents before children."""
    children: dict[int, list[int]] = {}
    for pid in pids():
        fields = _stat(pid)
        if fields is not None and not _is_dead(fields):
            children.setdefault(int(fields[_PARENT]), []).append(pid)
    living: list[int] = []
    stack = list(children.get(root, ()))
    while stack:
        pid = stack.pop()
        living.append(pid)
        stack.extend(children.get(pid, ()))
    return living


def status_bytes(pid: int, *fields: str) -> int:
    """Return the sum of memory `fields` of `/proc/<pid>/status`, in bytes; 0 if `pid` is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.partition(":")[0] in fields)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of `pid`, in bytes."""
    return status_bytes(pid, "VmRSS")


def with_environment(marker: str) -> list[int]:
    """Return the living processes with a variable that starts with `marker` (`NAME=value`).

    The kernel keeps the environment of the start; later changes do not count.
    """
    prefix = marker.encode()
    return [
        pid
        for pid in pids()
        if any(entry.startswith(prefix) for entry in _environment(pid).split(b"\0"))
    ]


def _environment(pid: int) -> bytes:
    """Return the environment of `pid` at its start; empty if it is dead or another user's."""
    for thread in (pid, *_other_threads(pid)):
        try:
            environment = Path(f"/proc/{thread}/environ").read_bytes()
        except OSError:
            continue
        if environment:
            return environment
    return b""


def _other_threads(pid: int) -> list[int]:
    """Return the living threads of a process whose main thread has ended."""
    fields = _stat(pid)
    if fields is None or fields[_STATE] != "Z" or _is_dead(fields):
        return []
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task") if name != str(pid)]
    except OSError:
        return []


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; do nothing if the process has ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def reap_all() -> None:
    """Reap every dead child."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


def reap(pid: int) -> None:
    """Reap `pid` if it is a dead child of this process."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
