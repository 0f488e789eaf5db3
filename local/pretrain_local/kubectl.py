"""kubectl as a function of one cluster and namespace."""

import subprocess
from dataclasses import dataclass
from typing import IO


class KubectlError(Exception):
    """kubectl failed; the message is kubectl's own."""


@dataclass(frozen=True)
class Kubectl:
    """A kubectl binary, and the cluster that it talks to."""

    binary: str
    kubeconfig: str
    namespace: str | None = None
    """None means the one that the kubeconfig names."""

    def run(self, *arguments: str, stdin: IO[bytes] | str | None = None) -> str:
        """Return the output of one kubectl command; `stdin` is a file or text for it to read.

        Raises:
            KubectlError: If it fails.
        """
        namespace = () if self.namespace is None else ("-n", self.namespace)
        done = subprocess.run(
            [self.binary, "--kubeconfig", self.kubeconfig, *namespace, *arguments],
            input=stdin if isinstance(stdin, str) else None,
            stdin=None if isinstance(stdin, str) else stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip() or f"kubectl {arguments[0]} failed")
        return done.stdout
