"""Notices at once when the supervisor of an attempt ends, through pidfds in the event loop."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from pretrain_local.node.runtime.supervision import supervisor_pid


class ExitWatch:
    """Calls `on_exit` when the supervisor of a watched attempt ends."""

    def __init__(self, on_exit: Callable[[], None]) -> None:
        self._on_exit = on_exit
        self._pidfds: dict[Path, int] = {}

    def add(self, folder: Path) -> None:
        """Watch the attempt in `folder`, unless it is watched or its supervisor is gone."""
        if folder in self._pidfds or (pid := supervisor_pid(folder)) is None:
            return
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return
        self._pidfds[folder] = pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._ended, folder)

    def _ended(self, folder: Path) -> None:
        pidfd = self._pidfds.pop(folder)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        self._on_exit()
