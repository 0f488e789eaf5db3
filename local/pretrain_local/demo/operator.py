"""The operator as a process beside the local cluster, as `kopf run` starts it."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

_GRACE_SECONDS = 30


class OperatorProcess:
    """A running operator; leave the context to stop it."""

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        self._kubeconfig = kubeconfig
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Start the operator and return its process id."""
        command = [sys.executable, "-m", "kopf", "run", "-m", "pretrain_operator.app"]
        variables = {**os.environ, "KUBECONFIG": str(self._kubeconfig), "PYTHONSAFEPATH": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--all-namespaces"],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which then stops it in order
            )
        return self._process.pid

    def check(self) -> None:
        """Raise if the operator has ended by itself.

        Raises:
            OperatorEnded: With the last lines of its log.
        """
        if self._process is not None and self._process.poll() is not None:
            tail = self._log.read_text(errors="replace").splitlines()[-8:]
            code = self._process.returncode
            raise OperatorEnded(f"the operator ended with code {code}:\n" + "\n".join(tail))

    def stop(self) -> None:
        """End the operator, gracefully if it lets us."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End the operator as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

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
