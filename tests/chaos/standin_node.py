"""A second node for a cluster that has one: it answers as long as the test wants.

It runs no containers. It says of the pods that it gets that they run, and never that they ended: so
does a node whose kubelet has died.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from cluster import RunningCluster
from pretrain_operator.observed.clock import format_time

Json = dict[str, Any]
_RENEW_SECONDS = 5.0


class StandInNode:
    """A Node object, its Lease, and the statuses of its pods."""

    def __init__(self, cluster: RunningCluster, name: str) -> None:
        self._cluster, self.name = cluster, name
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_stopped, daemon=True)

    def register(self, *, unschedulable: bool = False, pods: int = 110) -> None:
        """Create the Node, with room for so many pods, and keep it ready."""
        spec = {"unschedulable": True} if unschedulable else {}
        self._apply({"kind": "Node", "apiVersion": "v1", **self._meta(), "spec": spec})
        at = format_time(datetime.now(UTC))
        capacity = {"cpu": str(pods), "memory": f"{pods}Gi", "pods": str(pods)}
        ready = {"type": "Ready", "status": "True", "reason": "StandIn", "lastHeartbeatTime": at}
        status = {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}
        self._patch("node", self.name, {"status": status}, "--subresource=status")
        self._renew()
        self._thread.start()

    def uncordon(self) -> None:
        """Let pods be scheduled to it."""
        self._cluster.kubectl("uncordon", self.name)

    def stop(self) -> None:
        """Answer no more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def remove(self) -> None:
        """Delete the Node, as a cloud does when the machine is gone."""
        self.stop()
        self._cluster.kubectl("delete", "node", self.name, "--ignore-not-found")

    def run_pod(self, namespace: str, name: str) -> None:
        """Say that a pod runs."""
        status = running_status()
        flags = (f"--namespace={namespace}", "--subresource=status")
        self._patch("pod", name, {"status": status}, *flags)

    def _renew_until_stopped(self) -> None:
        while not self._stopped.wait(_RENEW_SECONDS):
            self._renew()

    def _renew(self) -> None:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": at}
        meta = {"metadata": {"name": self.name, "namespace": "kube-node-lease"}}
        self._apply({"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", **meta, "spec": spec})

    def _meta(self) -> Json:
        labels = {"kubernetes.io/hostname": self.name}
        return {"metadata": {"name": self.name, "labels": labels}}

    def _apply(self, manifest: Json) -> None:
        flags = ("--server-side", "--force-conflicts", "-f", "-")
        self._cluster.kubectl("apply", *flags, stdin=json.dumps(manifest))

    def _patch(self, kind: str, name: str, patch: Json, *flags: str) -> None:
        self._cluster.kubectl("patch", kind, name, *flags, "--patch", json.dumps(patch))


def running_status() -> Json:
    """Return the status of a pod that runs."""
    at = format_time(datetime.now(UTC))
    true = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
    return {
        "phase": "Running",
        "podIP": "127.0.0.1",
        "podIPs": [{"ip": "127.0.0.1"}],
        "startTime": at,
        "conditions": true,
        "containerStatuses": [container_status({"running": {"startedAt": at}})],
    }


def container_status(state: Json) -> Json:
    """Return the status of a pod's container in a state."""
    main = {"name": "main", "image": "", "imageID": "", "restartCount": 0}
    return {**main, "ready": "running" in state, "state": state}


@contextmanager
def stand_in(cluster: RunningCluster, name: str) -> Iterator[StandInNode]:
    """Give a node that is removed afterwards."""
    node = StandInNode(cluster, name)
    try:
        yield node
    finally:
        node.remove()
