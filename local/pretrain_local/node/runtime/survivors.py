"""Kills the processes of containers whose supervisor is gone, found by their environment."""

import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pretrain_local import procfs

_log = logging.getLogger(__name__)

MARKER_VARIABLE = "PRETRAIN_CONTAINER"
"""Environment variable of every process of a container; its value is the attempt's folder."""
_POLL_SECONDS = 0.02
_KILL_SECONDS = 5.0
"""Longest wait after SIGKILL; a process in an uninterruptible system call may never end."""


def kill_marked(folder: Path, seconds: float = _KILL_SECONDS) -> list[int]:
    """Kill every process of a container whose attempt folder is `folder` or lies below it.

    Return the pids that have not ended after `seconds`, and log them.
    """
    marker = f"{MARKER_VARIABLE}={folder}/"
    survivors = kill_until_gone(lambda: procfs.with_environment(marker), seconds)
    if survivors:
        _log.warning("%s: still alive %g s after SIGKILL: %s", folder, seconds, survivors)
    return survivors


def kill_until_gone(list_pids: Callable[[], list[int]], seconds: float) -> list[int]:
    """Kill the processes of `list_pids` until it is empty; return those left after `seconds`.

    A killed process loses its environment, and so leaves the list, before its files and ports
    are free. Processes that were in the list once are therefore waited for by pid.
    """
    deadline = time.monotonic() + seconds
    start_ticks: dict[int, int] = {}
    while True:
        listed = list_pids()
        for pid in listed:
            if (ticks := procfs.start_ticks(pid)) is not None:
                start_ticks[pid] = ticks
        ending = {pid for pid, ticks in start_ticks.items() if procfs.start_ticks(pid) == ticks}
        remaining = sorted(ending.union(listed))
        if not remaining:
            return []
        for pid in remaining:
            procfs.send(pid, signal.SIGKILL)
        if time.monotonic() >= deadline:
            return remaining
        time.sleep(_POLL_SECONDS)
