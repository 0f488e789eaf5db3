"""The operator as a process beside the local cluster, as `kopf run` starts it."""

import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from pretrain_local import procfs
from pretrain_local.processes import Processes

_NAME = "operator"
_GRACE_SECONDS = 30


class OperatorProcess:
    """A running operator, found again by its pid file; leave the context to stop it."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._kubeconfig = kubeconfig
        self._processes = Processes(folder, folder)

    @property
    def log(self) -> Path:
        """Return the file that it writes to."""
        return self._processes.log(_NAME)

    def start(self) -> None:
        """Start the operator; one that was left running here ends first."""
        self.stop()
        command = [sys.executable, "-m", "kopf", "run", "-m", "pretrain_operator.app", "-A"]
        variables = {**os.environ, "KUBECONFIG": str(self._kubeconfig), "PYTHONSAFEPATH": "1"}
        self._processes.start(_NAME, command, variables)

    def check(self) -> None:
        """Raise if the operator has ended by itself.

        Raises:
            OperatorEnded: With the last lines of its log.
        """
        if self._processes.pid(_NAME) is None:
            raise OperatorEnded(f"the operator has ended:\n{self._processes.tail(_NAME)}")

    def stop(self) -> None:
        """End the operator, gracefully if it lets us."""
        self._processes.stop(_NAME, _GRACE_SECONDS)

    def kill(self) -> None:
        """End the operator as a crash would."""
        pid = self._processes.pid(_NAME)
        if pid is not None:
            procfs.send(pid, signal.SIGKILL)
        self.stop()

    def __enter__(self) -> Self:
        """Start the operator."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End the operator."""
        self.stop()


class OperatorEnded(Exception):
    """The operator ended although nobody asked it to."""
