"""A running cluster for tests: that of `--kubeconfig`, else a local one for the session.

Import the fixtures into a `conftest.py`:

    from cluster import local_cluster, namespace
"""

import json
import secrets
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
from pretrain_local.kubectl import Kubectl
from pretrain_local.state import NodeResources

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]

RESOURCES = NodeResources(cpus=64, memory_bytes=256 * 2**30, gpus=8)
"""More than the machine has: tests request what real runs request, and use little of it."""

WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class RunningCluster:
    """A cluster and its kubectl."""

    kubeconfig: Path
    kubectl_binary: str
    local: LocalCluster | None
    """None for the cluster of `--kubeconfig`."""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Return what kubectl prints.

        Raises:
            KubectlError: With what it prints on standard error.
        """
        return Kubectl(self.kubectl_binary, str(self.kubeconfig)).run(*arguments, stdin=stdin)

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

    cluster: RunningCluster
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
        """Return the object once `is_met`; fail and show it after `seconds`."""

        def get_if_met() -> Json | None:
            item = self.get(kind, name)
            return item if item is not None and is_met(item) else None

        return wait_until(get_if_met, f"{kind}/{name}", seconds, lambda: self.get(kind, name))


def wait_until[T](
    find: Callable[[], T | None],
    what: str,
    seconds: float = WAIT_SECONDS,
    show: Callable[[], object] = lambda: "",
) -> T:
    """Return the first result of `find` that is not None; fail with `show()` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if (result := find()) is not None:
            return result
        if time.monotonic() > deadline:
            shown = json.dumps(show(), indent=1, default=str)
            pytest.fail(f"{what}: not as expected within {seconds:.0f} s; it is\n{shown}")
        time.sleep(_POLL_SECONDS)


def condition(item: Json, name: str) -> Json | None:
    """Return a condition of an object's status."""
    conditions: Sequence[Json] = item.get("status", {}).get("conditions", ())
    return next((item for item in conditions if item["type"] == name), None)


def is_condition(name: str, truth: str = "True") -> Callable[[Json], bool]:
    """Return a predicate for `wait_for`."""

    def is_met(item: Json) -> bool:
        current = condition(item, name)
        return current is not None and current["status"] == truth

    return is_met


def is_phase(*phases: str) -> Callable[[Json], bool]:
    """Return a predicate for `wait_for`."""
    return lambda item: item.get("status", {}).get("phase") in phases


def report(line: str) -> None:
    """Print the progress of a slow first build, past pytest's capture."""
    print(line, file=sys.__stderr__, flush=True)


@contextmanager
def run_cluster(sandbox: str = "auto") -> Iterator[RunningCluster]:
    """Run a local cluster below a temporary folder."""
    kubectl = str(binaries.find_all(report=report)["kubectl"])
    with tempfile.TemporaryDirectory(prefix="pretrain-cluster-") as folder:
        with LocalCluster(Path(folder) / "state", RESOURCES, sandbox, report) as cluster:
            yield RunningCluster(cluster.kubeconfig, kubectl, cluster)


class _Shared:
    """One cluster for all `conftest.py` that import the fixture: pytest runs it once for each."""

    def __init__(self) -> None:
        self._users = 0
        self._resources = ExitStack()
        self._cluster: RunningCluster | None = None

    def enter(self) -> RunningCluster:
        """Return the cluster; start it for the first user."""
        if self._cluster is None:
            self._cluster = self._resources.enter_context(run_cluster())
        self._users += 1
        return self._cluster

    def leave(self) -> None:
        """Stop the cluster after the last user."""
        self._users -= 1
        if self._users == 0:
            self._cluster = None
            self._resources.close()


_shared = _Shared()


@pytest.fixture(scope="session")
def local_cluster(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    """Give the cluster of `--kubeconfig`, or a local one for this session."""
    kubeconfig: Path | None = request.config.getoption("--kubeconfig")
    if kubeconfig is not None:
        yield RunningCluster(kubeconfig, "kubectl", None)
        return
    cluster = _shared.enter()
    try:
        yield cluster
    finally:
        _shared.leave()


@pytest.fixture
def namespace(local_cluster: RunningCluster) -> Iterator[Namespace]:
    """Give a namespace in which pods can be created, and delete it afterwards."""
    made = make_namespace(local_cluster)
    try:
        yield made
    finally:
        remove_namespace(made)


def make_namespace(cluster: RunningCluster) -> Namespace:
    """Return a new namespace in which pods can be created."""
    made = Namespace(cluster, f"test-{secrets.token_hex(4)}")
    cluster.kubectl("create", "namespace", made.name)
    # The API server refuses pods before it exists.
    wait_until(lambda: made.get("serviceaccount", "default"), "the default service account")
    return made


def remove_namespace(namespace: Namespace) -> None:
    """Delete a namespace; its pods get a short grace period."""
    pods = ("delete", "jobs,pods", "--all", "--wait=false", "--grace-period=1")
    namespace.kubectl(*pods)
    namespace.cluster.kubectl("delete", "namespace", namespace.name, "--wait=false")
