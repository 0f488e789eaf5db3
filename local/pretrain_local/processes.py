"""Background processes that outlive the command that starts them, found again by pid files."""

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pretrain_local import procfs
from pretrain_local.atomic_files import write_atomically

_POLL_SECONDS = 0.02
_MAX_LINE_CHARACTERS = 300
"""Longer log lines are cut when shown; some hold whole objects."""
_KILL_SECONDS = 5.0
"""Longest wait after SIGKILL, until the kernel has freed the memory of the process."""


class Processes:
    """Named processes, each with a pid file in `run` and a log in `logs`."""

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
            # Not subprocess.Popen: it warns about children that are still alive at exit.
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
        write_atomically(self._pid_file(name), json.dumps(record))

    def log(self, name: str) -> Path:
        """Return the log file of `name`."""
        return self._logs / f"{name}.log"

    def _pid_file(self, name: str) -> Path:
        return self._run / f"{name}.json"

    def has(self, name: str) -> bool:
        """Return whether `name` was started and not stopped since, dead or alive."""
        return self._pid_file(name).exists()

    def pid(self, name: str) -> int | None:
        """Return the pid of `name`, or None if it does not run."""
        try:
            record = json.loads(self._pid_file(name).read_text())
        except (OSError, ValueError):
            return None
        pid = int(record["pid"])
        procfs.reap(pid)
        ticks = procfs.start_ticks(pid)
        return pid if ticks is not None and ticks == record["startTicks"] else None

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the last lines of the log of `name`."""
        try:
            text = self.log(name).read_text(errors="replace")
        except OSError:
            return "(no log)"
        shown = [line[:_MAX_LINE_CHARACTERS] for line in text.splitlines()[-lines:]]
        return "\n".join(shown) or "(the log is empty)"

    def stop(self, name: str, grace_seconds: float) -> None:
        """Send SIGTERM to `name`, and SIGKILL after `grace_seconds`."""
        pid = self.pid(name)
        if pid is not None:
            procfs.send(pid, signal.SIGTERM)
            if not self._wait_ended(name, grace_seconds):
                procfs.send(pid, signal.SIGKILL)
                self._wait_ended(name, _KILL_SECONDS)
        self.forget(name)

    def forget(self, name: str) -> None:
        """Remove the pid file of a process that has ended."""
        self._pid_file(name).unlink(missing_ok=True)

    def _wait_ended(self, name: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pid(name) is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True
