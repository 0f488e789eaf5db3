"""Kueue: its controller as a process beside a cluster, with its webhooks."""

import base64
import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from cluster import RunningCluster, wait_until
from go_modules import module_folder
from ports import free_port
from pretrain_local import binaries
from pretrain_local.processes import Processes

Json = dict[str, Any]
HOST = "127.0.0.1"
_NAME = "kueue"
_SYSTEM, _SERVICE, _SECRET = "kueue-system", "kueue-webhook-service", "kueue-webhook-server-cert"
_OURS = ("job", "workload", "clusterqueue", "resourceflavor", "cohort")
"""Kinds whose webhooks are registered; the others' kinds are not installed."""
_GRACE_SECONDS = 20


class Kueue:
    """The controller that runs while the context is open."""

    def __init__(self, cluster: RunningCluster, folder: Path) -> None:
        self.cluster = cluster
        self._folder = folder
        self._processes = Processes(folder, folder)
        self._webhooks = free_port()

    def __enter__(self) -> Self:
        """Install Kueue's kinds and webhooks, and start its controller."""
        crds = components() / "crd/bases"
        self.cluster.kubectl("apply", "--server-side", "-f", str(crds))
        self.cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        self._apply(*self._system(), *self._webhook_configurations())
        config = self._folder / "config.yaml"
        config.write_text(yaml.safe_dump(self._configuration()), encoding="utf-8")
        variables = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}
        # Its own API server would need a pod's credentials.
        options = (f"--config={config}", "--feature-gates=VisibilityOnDemand=false")
        self._processes.start(_NAME, [binaries.find(_NAME), *options], variables)
        wait_until(self._has_certificate, "Kueue's certificate", show=lambda: self.log)
        wait_until(self._serves_webhooks, "Kueue's webhooks", show=lambda: self.log)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop it."""
        self._processes.stop(_NAME, _GRACE_SECONDS)

    def _apply(self, *objects: Json) -> None:
        text = yaml.safe_dump_all(objects)
        self.cluster.kubectl("apply", "--server-side", "-f", "-", stdin=text)

    def _has_certificate(self) -> bool | None:
        """Copy the certificate that the controller has made, as a kubelet does for a pod."""
        text = self.cluster.kubectl("get", "secret", _SECRET, "-n", _SYSTEM, "-o", "json")
        files = json.loads(text).get("data", {})
        for name, content in files.items():
            (self._folder / name).write_bytes(base64.b64decode(content))
        return True if "tls.key" in files else None

    def _serves_webhooks(self) -> bool | None:
        with socket.socket() as client:
            return True if client.connect_ex((HOST, self._webhooks)) == 0 else None

    @property
    def log(self) -> str:
        """Return what the controller has logged."""
        return self._processes.log(_NAME).read_text(encoding="utf-8")

    def _configuration(self) -> Json:
        return {
            "apiVersion": "config.kueue.x-k8s.io/v1beta1",
            "kind": "Configuration",
            "namespace": _SYSTEM,
            "health": {"healthProbeBindAddress": f"{HOST}:{free_port()}"},
            "metrics": {"bindAddress": f"{HOST}:{free_port()}"},
            "webhook": {"port": self._webhooks, "host": HOST, "certDir": str(self._folder)},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {
                "enable": True,
                "webhookServiceName": _SERVICE,
                "webhookSecretName": _SECRET,
            },
            "integrations": {"frameworks": ["batch/job"]},
        }

    def _system(self) -> list[Json]:
        """Return the objects that the controller needs; its Service leads to this machine."""
        name = {"namespace": _SYSTEM}
        return [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _SYSTEM}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": _SECRET, **name}},
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": _SERVICE, **name},
                "spec": {"type": "ExternalName", "externalName": HOST},
            },
        ]

    def _webhook_configurations(self) -> list[Json]:
        """Return the webhooks of our kinds as Kueue's installation has them."""
        text = (components() / "webhook/manifests.yaml").read_text(encoding="utf-8")
        configurations = [one for one in yaml.safe_load_all(text) if one]
        service = {"name": _SERVICE, "namespace": _SYSTEM, "port": self._webhooks}
        for configuration in configurations:
            configuration["metadata"]["name"] = f"kueue-{configuration['metadata']['name']}"
            webhooks = configuration["webhooks"]
            for webhook in webhooks:
                webhook["clientConfig"]["service"] |= service
            configuration["webhooks"] = [
                webhook
                for webhook in webhooks
                if webhook["clientConfig"]["service"]["path"].rpartition("-")[2] in _OURS
            ]
        return configurations


def components() -> Path:
    """Return the folder of Kueue's manifests."""
    return module_folder(_NAME, "sigs.k8s.io/kueue") / "config/components"


def cluster_queue(name: str, quota: dict[str, str]) -> Json:
    """Return a ClusterQueue whose Jobs of higher priority preempt those of lower."""
    resources = [{"name": resource, "nominalQuota": limit} for resource, limit in quota.items()]
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "ClusterQueue",
        "metadata": {"name": name},
        "spec": {
            "namespaceSelector": {},
            "preemption": {"withinClusterQueue": "LowerPriority"},
            "resourceGroups": [
                {
                    "coveredResources": list(quota),
                    "flavors": [{"name": "default", "resources": resources}],
                }
            ],
        },
    }


def local_queue(name: str, of: str) -> Json:
    """Return a namespace's door to a ClusterQueue."""
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "LocalQueue",
        "metadata": {"name": name},
        "spec": {"clusterQueue": of},
    }


def priority(name: str, value: int) -> Json:
    """Return a priority that Jobs name by a label."""
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "WorkloadPriorityClass",
        "metadata": {"name": name},
        "value": value,
    }
