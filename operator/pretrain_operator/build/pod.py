"""The pod template of every workload: one container, no Kubernetes credentials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pretrain_api import paths
from pretrain_api.v1alpha1.computeprofile import Volume
from pretrain_operator.build.config_map import SPEC_FILE
from pretrain_operator.observed.pods import MAIN_CONTAINER
from pretrain_operator.plan.placement import UNREACHABLE_SECONDS, Placement

_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True)
class PodParts:
    """What differs between kinds of pods; the rest comes from the placement."""

    command: Sequence[str]
    config_map: str
    secrets: Sequence[str]
    labels: Mapping[str, str]
    grace_seconds: int
    """Time between SIGTERM and SIGKILL, to save its work."""
    avoided_nodes: Sequence[str] = ()
    """Nodes that it avoids, as far as there is room on others."""
    are_spread: bool = False
    """Whether the pods of these labels go to as many nodes as there are."""
    subdomain: str | None = None
    """Headless Service that gives the pod a DNS name."""
    ports: Sequence[Mapping[str, Any]] = field(default=())


def build_pod_template(parts: PodParts, placement: Placement) -> dict[str, Any]:
    """Return the pod template of a Job."""
    volumes, mounts = _volumes(parts, placement)
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": parts.grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": paths.GROUP,
            # The default would set the group of all files of a large volume at every start.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(parts, placement, mounts)],
        "volumes": volumes,
    }
    optional = {
        "subdomain": parts.subdomain,
        "affinity": _affinity(parts, placement),
        "topologySpreadConstraints": [_spread(parts.labels)] if parts.are_spread else [],
        "serviceAccountName": placement.service_account,
        "priorityClassName": placement.priority_class,
        "nodeSelector": dict(placement.node_selector),
        "tolerations": _tolerations(placement),
        "imagePullSecrets": [{"name": name} for name in placement.pull_secrets],
    }
    spec.update({key: value for key, value in optional.items() if value})
    metadata: dict[str, Any] = {"labels": dict(parts.labels)}
    if placement.annotations:
        metadata["annotations"] = dict(placement.annotations)
    return {"metadata": metadata, "spec": spec}


def _affinity(parts: PodParts, placement: Placement) -> dict[str, Any]:
    """Return what the scheduler prefers; where there is no room for it, a run must go on."""
    affinity = {}
    if parts.avoided_nodes:
        names = [
            {"key": "metadata.name", "operator": "NotIn", "values": [node]}
            for node in parts.avoided_nodes
        ]
        term = {"weight": 100, "preference": {"matchFields": names}}
        affinity["nodeAffinity"] = {_PREFERRED: [term]}
    if parts.are_spread and placement.topology_keys:
        affinity["podAffinity"] = {_PREFERRED: _near(parts.labels, placement.topology_keys)}
    return affinity


def _near(labels: Mapping[str, str], topology_keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return terms for nodes near pods of these labels; the first key counts most."""
    selector = {"matchLabels": dict(labels)}
    return [
        {
            "weight": 100 >> number,
            "podAffinityTerm": {"labelSelector": selector, "topologyKey": key},
        }
        for number, key in enumerate(topology_keys)
    ]


def _spread(labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        # A node may hold several pods of a run if there are too few nodes.
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(labels)},
    }


def _tolerations(placement: Placement) -> list[dict[str, Any]]:
    """Return the tolerations of the profile, after those of nodes that do not answer.

    The first one that matches a taint counts: also before a toleration of everything.
    """
    given = [dict(toleration) for toleration in placement.tolerations]
    silent = [
        {
            "key": key,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": UNREACHABLE_SECONDS,
        }
        for key in ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
        if key not in {toleration.get("key") for toleration in given}
    ]
    return [*silent, *given]


def _container(
    parts: PodParts, placement: Placement, mounts: list[dict[str, Any]]
) -> dict[str, Any]:
    env: list[dict[str, Any]] = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "PYTHONUNBUFFERED", "value": "1"},
    ]
    env += [{"name": name, "value": value} for name, value in sorted(placement.env.items())]
    container: dict[str, Any] = {
        "name": MAIN_CONTAINER,
        "image": placement.image,
        "imagePullPolicy": placement.pull_policy,
        "command": list(parts.command),
        "env": env,
        "resources": _resources(placement),
        "volumeMounts": mounts,
        "terminationMessagePath": paths.TERMINATION,
        # Without a report, the last lines of the log become the message.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if parts.ports:
        container["ports"] = [dict(port) for port in parts.ports]
    return container


def _resources(placement: Placement) -> dict[str, Any]:
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    if placement.cpu:
        # No CPU limit: throttling one pod slows every collective, although cores are idle.
        requests["cpu"] = placement.cpu
    if placement.memory:
        requests["memory"] = limits["memory"] = placement.memory
    if placement.scratch:
        # The volume has the limit; a limit here would include the container's logs.
        requests["ephemeral-storage"] = placement.scratch
    if placement.device_resource:
        requests[placement.device_resource] = str(placement.devices)
        limits[placement.device_resource] = str(placement.devices)
    for name, count in placement.network_resources.items():
        requests[name] = limits[name] = str(count)
    return {key: value for key, value in (("requests", requests), ("limits", limits)) if value}


def _volumes(
    parts: PodParts, placement: Placement
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes of the pod, and where its container mounts them."""
    items = [{"key": SPEC_FILE, "path": SPEC_FILE}]
    volumes: list[dict[str, Any]] = [
        {"name": "spec", "configMap": {"name": parts.config_map, "items": items}},
        {"name": "scratch", "emptyDir": _scratch(placement)},
    ]
    spec_folder = paths.SPEC.rpartition("/")[0]
    mounts: list[dict[str, Any]] = [
        {"name": "spec", "mountPath": spec_folder, "readOnly": True},
        {"name": "scratch", "mountPath": paths.SCRATCH},
    ]
    for index, secret in enumerate(parts.secrets):
        name = f"secret-{index}"
        volumes.append({"name": name, "secret": {"secretName": secret, "defaultMode": 0o444}})
        mounts.append({"name": name, "mountPath": f"{paths.SECRETS}/{secret}", "readOnly": True})
    for index, volume in enumerate(placement.volumes):
        name = f"volume-{index}"
        volumes.append({"name": name, **_source(volume)})
        mount = {"name": name, "mountPath": volume.mount_path}
        mounts.append({**mount, "readOnly": True} if volume.read_only else mount)
    if placement.device_resource:
        # NCCL's shared-memory transport needs more than a container's default of 64 MiB.
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory"}})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})
    return volumes, mounts


def _scratch(placement: Placement) -> dict[str, str]:
    return {"sizeLimit": placement.scratch} if placement.scratch else {}


def _source(volume: Volume) -> dict[str, Any]:
    if volume.host_path is not None:
        return {"hostPath": {"path": volume.host_path}}
    claim = {"claimName": volume.persistent_volume_claim, "readOnly": volume.read_only}
    return {"persistentVolumeClaim": claim}
