"""Killing of processes that are found again and again until all have ended."""

import os
import sys

from pretrain_local import procfs
from pretrain_local.node.runtime.survivors import kill_until_gone


def test_killing_ends_after_its_timeout() -> None:
    # A dead child that is not reaped stays, whatever signal it gets.
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {})
    assert kill_until_gone(lambda: [pid], 0.1) == [pid]
    os.waitpid(pid, 0)


def test_killing_waits_for_processes_that_are_no_longer_listed() -> None:
    # A killed process loses its environment first, and its files and ports later.
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    lists = iter([[pid]])
    assert kill_until_gone(lambda: next(lists, []), 10) == []
    assert procfs.start_ticks(pid) is None
    os.waitpid(pid, 0)
