"""The cluster's processes: started in the background, found again by their pid files."""

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pretrain_local import procfs
from pretrain_local.atomic_files import write_atomically

_POLL_SECONDS = 0.02
_LONGEST_LINE = 300
"""Characters of a log line that are shown; some hold whole objects."""
_KILLED_SECONDS = 5.0
"""The kernel needs a moment to take the memory of a killed process back."""


class Processes:
    """Processes with a pid file in `run` and a log in `logs`, one of each name."""

    def __init__(self, run: Path, logs: Path) -> None:
        self._run = run
        self._logs = logs

    def start(
        self, name: str, argv: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start `argv` in a session of its own, so that it outlives this process and terminal."""
        self._run.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        log = os.open(self.log(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            # Not subprocess: its objects complain about children that are meant to stay.
            pid = os.posix_spawn(
                argv[0],
                [str(part) for part in argv],
                dict(os.environ if environment is None else environment),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGINT, signal.SIGPIPE],
            )
        finally:
            os.close(log)
            os.close(null)
        record = {"pid": pid, "startTicks": procfs.start_ticks(pid)}
        write_atomically(self._record(name), json.dumps(record))

    def log(self, name: str) -> Path:
        """Return where `name` writes what it says."""
        return self._logs / f"{name}.log"

    def _record(self, name: str) -> Path:
        return self._run / f"{name}.json"

    def has(self, name: str) -> bool:
        """Return whether `name` was started and not stopped since, dead or alive."""
        return self._record(name).exists()

    def pid(self, name: str) -> int | None:
        """Return the pid of `name`, or None if it does not run."""
        try:
            record = json.loads(self._record(name).read_text())
        except (OSError, ValueError):
            return None
        pid = int(record["pid"])
        procfs.reap(pid)
        ticks = procfs.start_ticks(pid)
        return pid if ticks is not None and ticks == record["startTicks"] else None

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the last lines that `name` wrote."""
        try:
            text = self.log(name).read_text(errors="replace")
        except OSError:
            return "(no log)"
        shown = [line[:_LONGEST_LINE] for line in text.splitlines()[-lines:]]
        return "\n".join(shown) or "(nothing was written)"

    def stop(self, name: str, grace_seconds: float) -> None:
        """Ask `name` to end, and kill it after `grace_seconds`."""
        pid = self.pid(name)
        if pid is not None:
            procfs.send(pid, signal.SIGTERM)
            if not self._ended(name, grace_seconds):
                procfs.send(pid, signal.SIGKILL)
                self._ended(name, _KILLED_SECONDS)
        self.forget(name)

    def forget(self, name: str) -> None:
        """Take away the pid file of a process that has ended."""
        self._record(name).unlink(missing_ok=True)

    def _ended(self, name: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pid(name) is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True
