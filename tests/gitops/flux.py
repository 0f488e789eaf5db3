"""Flux: its controllers as processes, and a Kustomization as the example has it."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from cluster import ROOT, Namespace, RunningCluster, condition, wait_until
from gitops.git_server import GitServer
from go_modules import module_folder
from ports import free_port
from pretrain_local import binaries
from pretrain_local.processes import Processes

Json = dict[str, Any]
CONTROLLERS = ("source-controller", "kustomize-controller")
EXAMPLE = ROOT / "examples/gitops/flux.yaml"
_GRACE_SECONDS = 20


class Flux:
    """The controllers that run while the context is open."""

    def __init__(self, cluster: RunningCluster, folder: Path) -> None:
        self.cluster = cluster
        self._folder = folder
        self._processes = Processes(folder, folder)

    def __enter__(self) -> Self:
        """Install Flux's kinds and start the controllers."""
        for name in CONTROLLERS:
            self.cluster.kubectl("apply", "--server-side", "-f", str(crds(name)))
        self.cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        storage = f"127.0.0.1:{free_port()}"
        options: dict[str, tuple[str, ...]] = {
            "source-controller": (
                f"--storage-path={self._folder}",
                f"--storage-addr={storage}",
                f"--storage-adv-addr={storage}",
            ),
            "kustomize-controller": ("--requeue-dependency=1s",),
        }
        for name in CONTROLLERS:
            common = (
                "--watch-all-namespaces",
                f"--metrics-addr=127.0.0.1:{free_port()}",
                f"--health-addr=127.0.0.1:{free_port()}",
            )
            command: list[str | Path] = [binaries.find(name), *common, *options[name]]
            variables = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}
            self._processes.start(name, command, variables)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop them."""
        for name in CONTROLLERS:
            self._processes.stop(name, _GRACE_SECONDS)


def crds(controller: str) -> Path:
    """Return the folder of a controller's CRDs."""
    return module_folder(controller, f"github.com/fluxcd/{controller}") / "config/crd/bases"


class Training:
    """A repository and the namespace that follows it, set up as in the example."""

    def __init__(self, namespace: Namespace, repository: GitServer) -> None:
        self.namespace, self.repository = namespace, repository

    def follow(self) -> None:
        """Create the example's two objects of Flux for this repository and namespace."""
        source, kustomization = yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8"))
        for manifest in (source, kustomization):
            manifest["metadata"]["namespace"] = self.namespace.name
            manifest["spec"]["interval"] = "1s"
        source["spec"]["url"] = self.repository.url
        spec = kustomization["spec"]
        spec |= {"path": "./", "targetNamespace": self.namespace.name, "retryInterval": "1s"}
        self.namespace.apply(source, kustomization)

    def forget(self) -> None:
        """Delete them; the Kustomization deletes what it has applied."""
        self.namespace.delete("kustomization.kustomize.toolkit.fluxcd.io", "training")
        self.namespace.delete("gitrepository", "training")

    def kustomization(self) -> Json:
        """Return the Kustomization."""
        found = self.namespace.get("kustomization.kustomize.toolkit.fluxcd.io", "training")
        assert found is not None
        return found

    def wait_until_ready(self, commit: str, seconds: float = 60) -> Json:
        """Return the Kustomization once it has applied a commit and all of it is healthy."""

        def find() -> Json | None:
            found = self.kustomization()
            applied = found.get("status", {}).get("lastAppliedRevision", "")
            ready = condition(found, "Ready")
            is_new = ready is not None and commit in ready["message"]
            is_ready = ready is not None and ready["status"] == "True" and is_new
            return found if commit in applied and is_ready else None

        return wait_until(find, f"commit {commit}", seconds, self.kustomization)

    def wait_until_refused(self, commit: str) -> str:
        """Return why a commit cannot be applied, once Flux says so."""

        def find() -> str | None:
            found = self.kustomization()
            ready = condition(found, "Ready")
            attempted = found.get("status", {}).get("lastAttemptedRevision", "")
            if commit not in attempted or ready is None or ready["status"] != "False":
                return None
            return str(ready["message"])

        return wait_until(find, f"commit {commit}", 60, self.kustomization)
