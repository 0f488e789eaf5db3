"""Registration of the node: its Node object, with capacity, and the Lease that it renews."""

import asyncio
import logging
import os
import platform
import time
from datetime import UTC, datetime

from pretrain_local.node.api.client import MERGE, STRATEGIC, UNREACHABLE, ApiError, Json
from pretrain_local.node.api.resources import GPU, build_capacity
from pretrain_local.node.context import NodeContext
from pretrain_local.node.status import timestamp
from pretrain_local.programs import RELEASE, architecture

_log = logging.getLogger(__name__)

_RENEW_SECONDS = 10
_LEASE_SECONDS = 40
"""As in a kubelet."""
_RETRY_SECONDS = 0.2
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


def build_node(name: str) -> Json:
    """Return the Node object."""
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture(),
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def build_node_status(node: NodeContext, now: datetime) -> Json:
    """Return the status of the Node object."""
    capacity = build_capacity(node.state.resources)
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [
            {"type": "InternalIP", "address": node.host_ip},
            {"type": "Hostname", "address": node.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": node.state.ports.node}},
        "nodeInfo": {
            "architecture": architecture(),
            "bootID": "",
            "containerRuntimeVersion": f"process://{node.state.sandbox}",
            "kernelVersion": os.uname().release,
            "kubeProxyVersion": "",
            "kubeletVersion": f"{RELEASE}-process",
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": platform.platform(),
            "systemUUID": "",
        },
        "conditions": [
            _condition("Ready", "True", "NodeReady", "the process node takes pods", now),
            _condition("MemoryPressure", "False", "NotMeasured", "", now),
            _condition("DiskPressure", "False", "NotMeasured", "", now),
            _condition("PIDPressure", "False", "NotMeasured", "", now),
        ],
    }


def _condition(name: str, truth: str, reason: str, message: str, now: datetime) -> dict[str, str]:
    moment = timestamp(now)
    return {
        "type": name,
        "status": truth,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": moment,
        "lastTransitionTime": moment,
    }


async def keep_registered(node: NodeContext) -> None:
    """Register the node and renew its lease until cancelled."""
    is_registered, renewed_at = False, 0.0
    while True:
        # A process that was stopped for so long has been declared lost: it says that it is back.
        is_registered = is_registered and time.monotonic() - renewed_at < _LEASE_SECONDS
        try:
            if not is_registered:
                await _register(node)
                is_registered = True
            await _renew(node)
            renewed_at = time.monotonic()
            delay = float(_RENEW_SECONDS)
        except (ApiError, *UNREACHABLE) as error:
            # Register again: the Node may have been deleted.
            _log.warning("heartbeat: %s; retrying", error)
            is_registered, delay = False, _RETRY_SECONDS
        await asyncio.sleep(delay)


async def _register(node: NodeContext) -> None:
    path = f"/api/v1/nodes/{node.name}"
    if await node.client.find(path) is None:
        await node.client.request("POST", "/api/v1/nodes", build_node(node.name))
    body = {"status": build_node_status(node, datetime.now(UTC))}
    if GPU not in body["status"]["capacity"]:
        # The Node object may have GPUs from before a restart; null removes them.
        removed = {GPU: None}
        body["status"]["capacity"] |= removed
        body["status"]["allocatable"] |= removed
    await node.client.request("PATCH", f"{path}/status", body, STRATEGIC)


async def _renew(node: NodeContext) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {
        "holderIdentity": node.name,
        "leaseDurationSeconds": _LEASE_SECONDS,
        "renewTime": now,
    }
    try:
        await node.client.request("PATCH", f"{_LEASES}/{node.name}", {"spec": spec}, MERGE)
    except ApiError as error:
        if error.status != 404:
            raise
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": node.name},
            "spec": spec,
        }
        await node.client.request("POST", _LEASES, lease)
