"""Runs one attempt of a container and writes down how it ended, whether or not the node lives.

    python -I -S supervisor.py ATTEMPT_FOLDER LOCK_DESCRIPTOR

It reads `launch.json`, writes `started.json` and at the end `exit.json`. A SIGTERM makes it read
`stop.json` and stop the container as a kubelet does: SIGTERM to the main process, SIGKILL to all
after the grace period. It holds the folder's lock, inherited from the node, while it lives. It
is small (standard library, no site), because each container has one.
"""

import ctypes
import datetime
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from pretrain_local import procfs
from pretrain_local.atomic_files import write_atomically

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
"""From <sys/prctl.h>."""
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM)
_MEMORY_POLL_SECONDS = 0.5
"""Time between looks at the memory of a container that uses little of its limit."""
_SHORTEST_POLL_SECONDS = 0.05
_IDLE_SECONDS = 3600.0
_KILL_POLL_SECONDS = 0.02
_SANDBOX_FAILED = 1
"""Exit code of bubblewrap itself; only then must it be told from the program's."""
_NOT_STARTED = 128
"""Exit code of a container that could not be started, as container runtimes give it."""

_libc = ctypes.CDLL(None, use_errno=True)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


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
        self._poll_seconds = _SHORTEST_POLL_SECONDS

    def run(self) -> None:
        """Run the container to its end."""
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        started = _now()
        try:
            child, main = self._start()
        except _NotStarted as error:
            self._finish(_NOT_STARTED, started, "StartError", str(error))
            return
        ticks = procfs.start_ticks(os.getpid())
        record = {"pid": os.getpid(), "startTicks": ticks, "startedAt": started}
        write_atomically(self._folder / "started.json", json.dumps(record))
        code = self._watch(child, main)
        _kill_descendants()
        _reap(child)
        if self._is_out_of_memory:
            limit = f"used more than its memory limit of {self._limit} bytes"
            self._finish(code, started, "OOMKilled", limit)
        elif code == _SANDBOX_FAILED and not self._said_exit_code():
            self._finish(_NOT_STARTED, started, "StartError", self._tail())
        else:
            self._finish(code, started, "Completed" if code == 0 else "Error", "")

    def _start(self) -> tuple[int, int]:
        """Return the child and the container's main process: the same, unless sandboxed."""
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
        self._answers = b""
        while b"\n" not in self._answers:
            block = os.read(self._status_fd, 4096)
            if not block:
                os.waitpid(child, 0)
                raise _NotStarted(self._tail())
            self._answers += block
        return child, int(json.loads(self._answers.partition(b"\n")[0])["child-pid"])

    def _spawn(self, argv: list[str], keep: int | None) -> int:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            self._become(argv, keep, write)
        os.close(write)
        with os.fdopen(read) as answer:
            problem = answer.read()
        if problem:
            os.waitpid(child, 0)
            raise _NotStarted(problem)
        return child

    def _become(self, argv: list[str], keep: int | None, errors: int) -> NoReturn:
        """Turn this forked child into the program; say on `errors` why it does not work."""
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
            os._exit(_NOT_STARTED)

    def _watch(self, child: int, main: int) -> int:
        """Return the exit code of `child`, 128 + the number of the signal that ended it."""
        while True:
            status = _reap(child)
            if status is not None:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            received = signal.sigtimedwait(_SIGNALS, self._wait_seconds())
            if received is not None and received.si_signo == signal.SIGTERM:
                self._stop(main)
            if self._kill_at is not None and time.time() >= self._kill_at:
                _kill_descendants()
            elif self._limit is not None and self._share_of_limit() > 1:
                self._is_out_of_memory = True
                _kill_descendants()

    def _share_of_limit(self) -> float:
        """Return which part of its limit the container uses, and look again soon if much."""
        share = _memory_bytes() / max(self._limit or 0, 1)
        self._poll_seconds = max(_MEMORY_POLL_SECONDS * (1 - share), _SHORTEST_POLL_SECONDS)
        return share

    def _wait_seconds(self) -> float:
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

    def _said_exit_code(self) -> bool:
        """Return whether the sandbox got as far as running the program."""
        if self._status_fd is None:
            return True
        while block := os.read(self._status_fd, 4096):
            self._answers += block
        return b"exit-code" in self._answers

    def _tail(self) -> str:
        try:
            text = (self._folder / "log").read_text(errors="replace")
        except OSError:
            text = ""
        return "\n".join(text.splitlines()[-3:]) or "the sandbox said nothing"

    def _finish(self, code: int, started: str, reason: str, message: str) -> None:
        result = {
            "code": code,
            "reason": reason,
            "message": message,
            "startedAt": started,
            "finishedAt": _now(),
        }
        write_atomically(self._folder / "exit.json", json.dumps(result))


def _reap(child: int) -> int | None:
    """Collect every dead process below; return the wait status of `child` once it is one."""
    status = None
    while True:
        try:
            pid, found = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = found


def _memory_bytes() -> int:
    """Return what the container holds in memory that the kernel cannot drop."""
    return sum(
        procfs.status_bytes(pid, "RssAnon", "RssShmem") for pid in procfs.descendants(os.getpid())
    )


def _kill_descendants() -> None:
    """Kill everything below; as subreaper this process is the parent of every orphan."""
    while remaining := procfs.descendants(os.getpid()):
        for pid in remaining:
            procfs.send(pid, signal.SIGKILL)
        time.sleep(_KILL_POLL_SECONDS)


def main() -> None:
    """Run the attempt in the folder that the first argument names."""
    folder, lock = Path(sys.argv[1]), int(sys.argv[2])
    # Only this process says that the attempt runs; its container must not hold the locks on.
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
