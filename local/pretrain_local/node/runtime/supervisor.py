"""Runs one attempt of a container and stores how it ended, whether or not the node runs.

    python -I -S supervisor.py ATTEMPT_FOLDER LOCK_DESCRIPTOR

It reads `launch.json`, writes `started.json` and at the end `exit.json`. On SIGTERM it reads
`stop.json` and stops the container as a kubelet does: SIGTERM to the main process, SIGKILL to all
processes after the grace period. It holds the attempt's lock, inherited from the node, while it
lives. Each container has a supervisor, so it is kept small: standard library, no site packages.
"""

import ctypes
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from pretrain_local import procfs
from pretrain_local.atomic_files import write_atomically
from pretrain_local.node.runtime.exits import NOT_STARTED, START_ERROR, Exit, write_exit

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
"""From <sys/prctl.h>."""
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM)
_MEMORY_POLL_SECONDS = 0.5
"""Time between memory measurements of a container that is far below its limit."""
_MIN_POLL_SECONDS = 0.05
_IDLE_SECONDS = 3600.0
_KILL_POLL_SECONDS = 0.02
_SANDBOX_FAILED = 1
"""Exit code of bubblewrap itself; the program may use the same one."""

_libc = ctypes.CDLL(None, use_errno=True)


def _now() -> datetime:
    return datetime.now(UTC)


class _NotStarted(Exception):
    """The program or its sandbox could not be started."""


class Supervisor:
    """One attempt of a container."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._launch: dict[str, Any] = json.loads((folder / "launch.json").read_text())
        self._limit: int | None = self._launch["memoryLimitBytes"]
        self._kill_at: float | None = None
        self._is_out_of_memory = False
        self._poll_seconds = _MIN_POLL_SECONDS

    def run(self) -> None:
        """Run the container until it ends."""
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        started = _now()
        try:
            child, main = self._start()
        except _NotStarted as error:
            self._finish(NOT_STARTED, started, START_ERROR, str(error))
            return
        ticks = procfs.start_ticks(os.getpid())
        record = {"pid": os.getpid(), "startTicks": ticks, "startedAt": started.isoformat()}
        write_atomically(self._folder / "started.json", json.dumps(record))
        code = self._wait(child, main)
        _kill_descendants()
        _reap(child)
        if self._is_out_of_memory:
            message = f"used more than its memory limit of {self._limit} bytes"
            self._finish(code, started, "OOMKilled", message)
        elif code == _SANDBOX_FAILED and not self._program_ran():
            self._finish(NOT_STARTED, started, START_ERROR, self._log_tail())
        else:
            self._finish(code, started, "Completed" if code == 0 else "Error", "")

    def _start(self) -> tuple[int, int]:
        """Return the pids of the child and of the container's main process.

        They differ in a sandbox, which reports the main process on a status pipe.
        """
        self._status_fd: int | None = None
        written: int | None = None
        argv = self._launch["argv"]
        if self._launch["statusFlag"]:
            self._status_fd, written = os.pipe()
            argv = [argv[0], self._launch["statusFlag"], str(written), *argv[1:]]
        child = self._spawn(argv, written)
        if written is None or self._status_fd is None:
            return child, child
        os.close(written)
        self._status_text = b""
        while b"\n" not in self._status_text:
            block = os.read(self._status_fd, 4096)
            if not block:
                os.waitpid(child, 0)
                raise _NotStarted(self._log_tail())
            self._status_text += block
        return child, int(json.loads(self._status_text.partition(b"\n")[0])["child-pid"])

    def _spawn(self, argv: list[str], keep: int | None) -> int:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            self._execute(argv, keep, write)
        os.close(write)
        with os.fdopen(read) as errors:
            problem = errors.read()
        if problem:
            os.waitpid(child, 0)
            raise _NotStarted(problem)
        return child

    def _execute(self, argv: list[str], keep: int | None, errors: int) -> NoReturn:
        """Replace this forked child by the program; write to `errors` why that fails."""
        try:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            os.setsid()
            log = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (log, 1), (log, 2)):
                os.dup2(source, target)
            if keep is not None:
                os.set_inheritable(keep, True)
            os.chdir(self._launch["directory"])
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execvpe(argv[0], argv, self._launch["environment"])
        except OSError as error:
            os.write(errors, f"{error.filename or argv[0]}: {error.strerror}".encode())
        finally:
            os._exit(NOT_STARTED)

    def _wait(self, child: int, main: int) -> int:
        """Return the exit code of `child`, 128 + the signal's number if a signal killed it."""
        while True:
            status = _reap(child)
            if status is not None:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            received = signal.sigtimedwait(_SIGNALS, self._timeout_seconds())
            if received is not None and received.si_signo == signal.SIGTERM:
                self._stop(main)
            if self._kill_at is not None and time.time() >= self._kill_at:
                _kill_descendants()
            elif self._limit is not None and self._measure_share_of_limit() > 1:
                self._is_out_of_memory = True
                _kill_descendants()

    def _measure_share_of_limit(self) -> float:
        """Return the used share of the memory limit; near the limit, measure more often."""
        share = _memory_bytes() / max(self._limit or 0, 1)
        self._poll_seconds = max(_MEMORY_POLL_SECONDS * (1 - share), _MIN_POLL_SECONDS)
        return share

    def _timeout_seconds(self) -> float:
        seconds = self._poll_seconds if self._limit is not None else _IDLE_SECONDS
        if self._kill_at is not None:
            seconds = min(seconds, max(self._kill_at - time.time(), 0.0))
        return seconds

    def _stop(self, main: int) -> None:
        try:
            grace = float(json.loads((self._folder / "stop.json").read_text())["graceSeconds"])
        except (OSError, ValueError, KeyError):
            grace = 0.0
        deadline = time.time() + grace
        if self._kill_at is None:
            procfs.send(main, signal.SIGTERM)
            self._kill_at = deadline
        self._kill_at = min(self._kill_at, deadline)

    def _program_ran(self) -> bool:
        """Return whether the exit code is the program's, not that of its sandbox."""
        if self._status_fd is None:
            return True
        while block := os.read(self._status_fd, 4096):
            self._status_text += block
        return b"exit-code" in self._status_text

    def _log_tail(self) -> str:
        try:
            text = (self._folder / "log").read_text(errors="replace")
        except OSError:
            text = ""
        return "\n".join(text.splitlines()[-3:]) or "the sandbox failed without a message"

    def _finish(self, code: int, started: datetime, reason: str, message: str) -> None:
        write_exit(self._folder, Exit(code, reason, message, started, _now()))


def _reap(child: int) -> int | None:
    """Reap every dead descendant; return the wait status of `child` if it is among them."""
    status = None
    while True:
        try:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = wait_status


def _memory_bytes() -> int:
    """Return the memory of the container that the kernel cannot reclaim."""
    return sum(
        procfs.status_bytes(pid, "RssAnon", "RssShmem") for pid in procfs.descendants(os.getpid())
    )


def _kill_descendants() -> None:
    """Kill every descendant; as subreaper this process is the parent of every orphan."""
    while remaining := procfs.descendants(os.getpid()):
        for pid in remaining:
            procfs.send(pid, signal.SIGKILL)
        time.sleep(_KILL_POLL_SECONDS)


def main() -> None:
    """Run the attempt in the folder that the first argument names."""
    folder, lock = Path(sys.argv[1]), int(sys.argv[2])
    # The lock means that this process lives, so the container must not inherit it.
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != lock:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                pass
    os.set_inheritable(lock, False)
    Supervisor(folder).run()


if __name__ == "__main__":
    main()
