"""A running cluster for tests: that of `--kubeconfig`, else one of our own, taken down after.

Import the fixtures into a `conftest.py`:

    from cluster import local_cluster, namespace
"""

import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pretrain_local import binaries
from pretrain_local.cluster import LocalCluster
from pretrain_local.state import NodeResources

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]

RESOURCES = NodeResources(cpus=64, memory_bytes=256 * 2**30, gpus=8)
"""More than the machine has: tests ask for what real runs ask for, and use little of it."""

WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.25


class KubectlFailed(Exception):
    """kubectl ended with an error."""


@dataclass(frozen=True)
class Cluster:
    """A cluster and the means to talk to it."""

    kubeconfig: Path
    kubectl_binary: str
    local: LocalCluster | None
    """None for the cluster of `--kubeconfig`."""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Return what kubectl prints.

        Raises:
            KubectlFailed: With what it says on standard error.
        """
        command = [self.kubectl_binary, f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise KubectlFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def install_crds(self) -> None:
        """Apply the CRDs and wait until the API server serves them."""
        files = [
            flag for path in sorted((ROOT / "crds").glob("*.yaml")) for flag in ("-f", str(path))
        ]
        self.kubectl("apply", "--server-side", *files)
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)


@dataclass(frozen=True)
class Namespace:
    """A namespace of one test."""

    cluster: Cluster
    name: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Return what kubectl prints, in this namespace."""
        return self.cluster.kubectl(f"--namespace={self.name}", *arguments, stdin=stdin)

    def apply(self, *manifests: Json) -> None:
        """Apply manifests."""
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self.kubectl("apply", "--server-side", "-f", "-", stdin=document)

    def get(self, kind: str, name: str) -> Json | None:
        """Return an object, or None if there is none."""
        text = self.kubectl("get", kind, name, "--ignore-not-found", "-o", "json")
        return dict(json.loads(text)) if text else None

    def list(self, kind: str, labels: str = "") -> list[Json]:
        """Return the objects of a kind, by labels."""
        text = self.kubectl("get", kind, f"--selector={labels}", "-o", "json")
        items: Sequence[Json] = json.loads(text)["items"]
        return [*items]

    def delete(self, kind: str, name: str, *flags: str) -> None:
        """Delete an object; wait until it is gone, unless `flags` say otherwise."""
        self.kubectl("delete", kind, name, *flags)

    def wait_for(
        self,
        kind: str,
        name: str,
        is_met: Callable[[Json], bool],
        seconds: float = WAIT_SECONDS,
    ) -> Json:
        """Return the object once `is_met`; fail, showing it, if that takes too long."""

        def found() -> Json | None:
            item = self.get(kind, name)
            return item if item is not None and is_met(item) else None

        return wait_until(found, f"{kind}/{name}", seconds, lambda: self.get(kind, name))


def wait_until[T](
    find: Callable[[], T | None],
    what: str,
    seconds: float = WAIT_SECONDS,
    show: Callable[[], object] = lambda: "",
) -> T:
    """Return what `find` finds; fail with `show()` if it finds nothing within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if (found := find()) is not None:
            return found
        if time.monotonic() > deadline:
            shown = json.dumps(show(), indent=1, default=str)
            pytest.fail(f"{what}: not as expected within {seconds:.0f} s; it is\n{shown}")
        time.sleep(_POLL_SECONDS)


def condition(item: Json, name: str) -> Json | None:
    """Return a condition of an object's status."""
    conditions: Sequence[Json] = item.get("status", {}).get("conditions", ())
    return next((found for found in conditions if found["type"] == name), None)


def is_condition(name: str, truth: str = "True") -> Callable[[Json], bool]:
    """Return a predicate for `wait_for`."""

    def is_met(item: Json) -> bool:
        found = condition(item, name)
        return found is not None and found["status"] == truth

    return is_met


def is_phase(*phases: str) -> Callable[[Json], bool]:
    """Return a predicate for `wait_for`."""
    return lambda item: item.get("status", {}).get("phase") in phases


def say(line: str) -> None:
    """Show what a slow first build does, past pytest's capture."""
    print(line, file=sys.__stderr__, flush=True)


@contextmanager
def run_cluster(sandbox: str = "auto") -> Iterator[Cluster]:
    """Run a cluster of our own below a temporary folder."""
    kubectl = str(binaries.find_all(report=say)["kubectl"])
    with tempfile.TemporaryDirectory(prefix="pretrain-cluster-") as folder:
        with LocalCluster(Path(folder) / "state", RESOURCES, sandbox, say) as cluster:
            yield Cluster(cluster.kubeconfig, kubectl, cluster)


class _Shared:
    """One cluster for all folders of tests: each `conftest.py` has a fixture of its own."""

    def __init__(self) -> None:
        self._users = 0
        self._resources = ExitStack()
        self._cluster: Cluster | None = None

    def enter(self) -> Cluster:
        """Return the cluster; start it for the first user."""
        if self._cluster is None:
            self._cluster = self._resources.enter_context(run_cluster())
        self._users += 1
        return self._cluster

    def leave(self) -> None:
        """Take the cluster down after the last user."""
        self._users -= 1
        if self._users == 0:
            self._cluster = None
            self._resources.close()


_shared = _Shared()


@pytest.fixture(scope="session")
def local_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Give the cluster that was asked for by name, or one of our own for this session."""
    given: Path | None = request.config.getoption("--kubeconfig")
    if given is not None:
        yield Cluster(given, "kubectl", None)
        return
    cluster = _shared.enter()
    try:
        yield cluster
    finally:
        _shared.leave()


@pytest.fixture
def namespace(local_cluster: Cluster) -> Iterator[Namespace]:
    """Give a namespace in which pods can be made, and delete it after."""
    made = make_namespace(local_cluster)
    try:
        yield made
    finally:
        remove_namespace(made)


def make_namespace(cluster: Cluster) -> Namespace:
    """Return a new namespace in which pods can be made."""
    made = Namespace(cluster, f"test-{secrets.token_hex(4)}")
    cluster.kubectl("create", "namespace", made.name)
    # Pods are refused before it exists.
    wait_until(lambda: made.get("serviceaccount", "default"), "the default service account")
    return made


def remove_namespace(namespace: Namespace) -> None:
    """Delete a namespace; its pods are stopped, without the usual patience."""
    pods = ("delete", "jobs,pods", "--all", "--wait=false", "--grace-period=1")
    namespace.kubectl(*pods)
    namespace.cluster.kubectl("delete", "namespace", namespace.name, "--wait=false")
