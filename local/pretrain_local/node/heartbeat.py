"""The Node object and its Lease: how the cluster knows what the node has and that it lives."""

import asyncio
import logging
import os
import platform
from datetime import UTC, datetime
from typing import Any

from pretrain_local.node.api.client import MERGE, STRATEGIC, UNREACHABLE, ApiError
from pretrain_local.node.api.resources import GPU, build_amounts
from pretrain_local.node.context import NodeContext
from pretrain_local.node.status import timestamp

_log = logging.getLogger(__name__)

_RENEW_SECONDS = 10
_LEASE_SECONDS = 40
"""As a kubelet has them."""
_RETRY_SECONDS = 0.2
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """Return this machine's architecture, as Kubernetes calls it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def build_node(name: str) -> dict[str, Any]:
    """Return the Node object."""
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture(),
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def build_node_status(node: NodeContext, now: datetime) -> dict[str, Any]:
    """Return what the node says of itself."""
    amounts = build_amounts(node.state.resources)
    return {
        "capacity": amounts,
        "allocatable": amounts,
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
            "kubeletVersion": "v1.35.4-process",
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
    """Register the node, then renew its lease for ever."""
    is_registered = False
    while True:
        try:
            if not is_registered:
                await _register(node)
                is_registered = True
            await _renew(node)
            delay = float(_RENEW_SECONDS)
        except (ApiError, *UNREACHABLE) as error:
            # A Node that someone deleted is made again; an API server that is away comes back.
            _log.warning("heartbeat: %s; trying again", error)
            is_registered, delay = False, _RETRY_SECONDS
        await asyncio.sleep(delay)


async def _register(node: NodeContext) -> None:
    path = f"/api/v1/nodes/{node.name}"
    if await node.client.find(path) is None:
        await node.client.request("POST", "/api/v1/nodes", build_node(node.name))
    body = {"status": build_node_status(node, datetime.now(UTC))}
    if GPU not in body["status"]["capacity"]:
        # What an earlier life of the node had.
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
