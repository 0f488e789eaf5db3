"""The operator's processes beside a cluster: the controller, or the webhook for tests."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pretrain_local import procfs
from pretrain_local.processes import Processes

CONTROLLER = ("kopf", "run", "-m", "pretrain_operator.app", "-A")
_GRACE_SECONDS = 30


class OperatorProcess:
    """A Python module that runs in the background until the context is left or `stop` is called.

    A later object with the same `folder` and `name` finds the process again by its pid file.
    """

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        name: str = "operator",
        module: Sequence[str] = CONTROLLER,
    ) -> None:
        """Prepare a process; `module` is the module's name and its arguments."""
        self._kubeconfig = kubeconfig
        self._name = name
        self._module = module
        self._processes = Processes(folder, folder)

    @property
    def log(self) -> Path:
        """Return the process's log file."""
        return self._processes.log(self._name)

    @property
    def pid(self) -> int | None:
        """Return the process's id, or None if it does not run."""
        return self._processes.pid(self._name)

    def tail(self) -> str:
        """Return the last lines of the log."""
        return self._processes.tail(self._name)

    def start(self) -> None:
        """Start the process; stop an earlier one of the same folder first."""
        self.stop()
        command = [sys.executable, "-m", *self._module]
        variables = {**os.environ, "KUBECONFIG": str(self._kubeconfig), "PYTHONSAFEPATH": "1"}
        self._processes.start(self._name, command, variables)

    def check(self) -> None:
        """Check that the process runs.

        Raises:
            OperatorEnded: If it has ended; with the last lines of its log.
        """
        if self._processes.pid(self._name) is None:
            raise OperatorEnded(f"the {self._name} has ended:\n{self.tail()}")

    def stop(self) -> None:
        """Stop the process, by SIGKILL if it does not end within the grace period."""
        self._processes.stop(self._name, _GRACE_SECONDS)

    def kill(self) -> None:
        """End the process as a crash would."""
        pid = self._processes.pid(self._name)
        if pid is not None:
            procfs.send(pid, signal.SIGKILL)
        self.stop()

    def __enter__(self) -> Self:
        """Start the process."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop the process."""
        self.stop()


class OperatorEnded(Exception):
    """A process of the operator ended by itself."""
