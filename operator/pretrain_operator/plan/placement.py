"""Where and how the pods of one role run, according to a ComputeProfile."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pretrain_api.digests import digest, short
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec, PodResources, Volume

Role = Literal["data", "trainer"]

UNREACHABLE_SECONDS = 30
"""How long pods stay on a node that does not answer; Kubernetes' default is five minutes."""

_ADDED_LATER = ("scratch", "network_resources", "annotations", "topology_keys")
"""Fields added after the first version: unset, they must not change the digests that it wrote."""


@dataclass(frozen=True)
class Placement:
    """Everything of a pod that comes from its ComputeProfile."""

    image: str
    pull_policy: str
    pull_secrets: tuple[str, ...]
    env: Mapping[str, str]
    node_selector: Mapping[str, str]
    tolerations: tuple[Mapping[str, Any], ...]
    volumes: tuple[Volume, ...]
    cpu: str | None
    memory: str | None
    scratch: str | None
    """Disk for temporary files. `None` means no request and no limit."""
    device_resource: str | None
    """Extended resource of the devices. `None` means that pods get none."""
    devices: int
    """Devices, and training processes, of a pod."""
    service_account: str | None
    priority_class: str | None
    network_resources: Mapping[str, int] = field(default_factory=dict)
    """Extended resources of network cards."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    topology_keys: tuple[str, ...] = ()
    """Labels of nodes by which pods of a run stay together, the closest first."""

    @property
    def digest(self) -> str:
        """Return a digest that changes with any of the fields."""
        volumes = [volume.model_dump() for volume in self.volumes]
        fields = {**asdict(self), "volumes": volumes}
        unset = {name for name in _ADDED_LATER if not fields[name]}
        return short(digest({name: value for name, value in fields.items() if name not in unset}))


def plan_placement(
    profile: ComputeProfileSpec, role: Role, devices: int | None = None
) -> Placement:
    """Return how pods of `role` run; each has `devices`, by default those of a node."""
    pods, accelerator = profile.pods, profile.accelerator
    is_trainer = role == "trainer"
    resources = pods.trainer if is_trainer else pods.data
    count = (devices or accelerator.per_node) if is_trainer else 1
    return Placement(
        image=profile.images.trainer if is_trainer else profile.images.data,
        pull_policy=profile.images.pull_policy,
        pull_secrets=tuple(profile.images.pull_secrets),
        env={**_threads(resources, count), **pods.env},
        node_selector=dict(pods.node_selector),
        tolerations=tuple(pods.tolerations),
        volumes=tuple(pods.volumes),
        cpu=resources.cpu,
        memory=resources.memory,
        scratch=resources.scratch,
        device_resource=accelerator.resource if is_trainer else None,
        devices=count,
        service_account=pods.service_account_name,
        priority_class=pods.priority_class_name,
        network_resources=dict(profile.network.resources) if is_trainer else {},
        annotations=dict(profile.network.annotations) if is_trainer else {},
        topology_keys=tuple(profile.network.topology_keys) if is_trainer else (),
    )


def _threads(resources: PodResources, processes: int) -> dict[str, str]:
    """Return the thread count of a process; the default of libraries is the cores of the node."""
    if resources.cpu is None:
        return {}
    text = resources.cpu
    cores = float(text[:-1]) / 1000 if text.endswith("m") else float(text)
    return {"OMP_NUM_THREADS": str(max(1, math.floor(cores / processes)))}
