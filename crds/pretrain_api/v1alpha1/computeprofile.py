"""ComputeProfile: the platform team's description of nodes, for every run that uses them."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator

from pretrain_api.conditions import Condition
from pretrain_api.meta import RELEASE, ApiModel, Name
from pretrain_api.quantities import Quantity

Text = Annotated[str, Field(max_length=1024)]
Opaque = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]


class Accelerator(ApiModel):
    """The device that one training process drives."""

    name: Annotated[str, Field(max_length=63)] = "cpu"
    """Name of the device: `cpu`, `h100`, …"""

    resource: Annotated[str, Field(max_length=253)] | None = None
    """Extended resource that a pod requests, such as `nvidia.com/gpu`. Unset means none (CPU)."""

    per_node: Annotated[int, Field(ge=1, le=256)] = 1
    """Training processes, each with one device, that one node runs."""

    memory: Quantity | None = None
    """Memory of one device, in bytes. Unset means that of the known device called `name`; for
    others it is not checked."""

    peak_teraflops: Annotated[float, Field(ge=0.001, le=1_000_000.0)] | None = None
    """Dense bf16 matrix products of one device, in 10¹² operations a second. Unset means that of
    the known device called `name`; for others no time is predicted."""

    memory_gigabytes_per_second: Annotated[float, Field(ge=0.1, le=1_000_000.0)] | None = None
    """Bandwidth of the device's memory, 10⁹ bytes a second. Unset means the known device's."""


class Network(ApiModel):
    """How devices reach each other."""

    domain_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Devices that share the fast links (NVLink). Unset means the known device's, or `perNode`."""

    domain_gigabytes_per_second: Annotated[float, Field(ge=0.001, le=100_000.0)] | None = None
    """Bandwidth of one device within the domain, one way, 10⁹ bytes a second. Unset means the
    known device's."""

    gigabytes_per_second: Annotated[float, Field(ge=0.001, le=100_000.0)] | None = None
    """Bandwidth of one device to other domains, one way, 10⁹ bytes a second. Unset means the known
    device's."""

    resources: Annotated[dict[str, Annotated[int, Field(ge=1, le=1024)]], Field(max_length=16)] = {}
    """Extended resources that each training pod requests for its cards, such as `rdma/hca: 1`."""

    annotations: Annotated[dict[str, Text], Field(max_length=16)] = {}
    """Annotations of training pods, such as `k8s.v1.cni.cncf.io/networks` for further networks, or
    Kueue's for its topology."""

    topology_keys: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]], Field(max_length=4)
    ] = []
    """Labels of nodes that say which share a rack or a block, the closest first. Pods of a run stay
    together by them, as far as there is room."""


class Images(ApiModel):
    """Container images of the workloads."""

    data: Annotated[str, Field(min_length=1, max_length=512)] = f"pretrain-data:{RELEASE}"
    """Image of DataPipeline, Tokenizer and TokenDataset pods."""

    trainer: Annotated[str, Field(min_length=1, max_length=512)] = f"pretrain-trainer:{RELEASE}"
    """Image of PretrainJob pods."""

    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When a node pulls them."""

    pull_secrets: Annotated[list[Name], Field(max_length=8)] = []
    """Secrets with the registry's credentials."""


class Volume(ApiModel):
    """A volume that every workload pod mounts; exactly one source."""

    name: Name
    """Name of the volume."""

    mount_path: Annotated[str, Field(pattern=r"^/pretrain/[a-z0-9][-a-z0-9/]*$", max_length=128)]
    """Mount path in pods, below `/pretrain/`; `file://` URIs start with it."""

    persistent_volume_claim: Name | None = None
    """A claim in the namespace of the object, shared by all nodes that run its pods."""

    host_path: Annotated[str, Field(pattern=r"^/", max_length=1024)] | None = None
    """A folder of the node: for one-node clusters."""

    read_only: bool = False
    """Whether pods may not write."""

    @model_validator(mode="after")
    def _one_source(self) -> "Volume":
        if (self.persistent_volume_claim is None) == (self.host_path is None):
            raise ValueError(
                "set exactly one of persistentVolumeClaim and hostPath for volume "
                + repr(self.name)
            )
        return self


NamespacePattern = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$")
]
"""A namespace's name, in which `*` stands for any characters."""


class PodResources(ApiModel):
    """Requests and limits of one kind of pod, as Kubernetes quantities."""

    cpu: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?m?$", max_length=20)] | None = None
    """CPU request. Unset means the namespace's default."""

    memory: (
        Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?[kKMGT]?i?$", max_length=20)] | None
    ) = None
    """Memory request and limit. Unset means the namespace's default."""

    scratch: (
        Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?[kKMGT]?i?$", max_length=20)] | None
    ) = None
    """Node disk for temporary files: the pod's request, and the size limit of its scratch volume.
    Unset means neither: a pod may fill the disk, and a node that runs out of disk evicts pods."""


class PodDefaults(ApiModel):
    """Settings of every workload pod."""

    env: Annotated[dict[str, Text], Field(max_length=64)] = {}
    """Environment variables, for example the network's NCCL settings."""

    node_selector: Annotated[dict[str, Text], Field(max_length=32)] = {}
    """Labels that a node must carry."""

    tolerations: Annotated[list[Opaque], Field(max_length=32)] = []
    """Taints that the pods tolerate, as in a PodSpec."""

    volumes: Annotated[list[Volume], Field(max_length=16)] = []
    """Shared volumes, for `file://` URIs."""

    data: PodResources = PodResources()
    """Resources of a data pod."""

    trainer: PodResources = PodResources()
    """Resources of a training pod (one per node)."""

    service_account_name: Name | None = None
    """ServiceAccount of the pods (its token is never mounted). Unset means `default`."""

    priority_class_name: Name | None = None
    """PriorityClass of the pods."""


class ComputeProfileSpec(ApiModel):
    """Description of one kind of node."""

    accelerator: Accelerator = Accelerator()
    """The training device."""

    network: Network = Network()
    """How devices reach each other: what the planner reckons with, and what training pods need."""

    images: Images = Images()
    """Container images of the workloads."""

    pods: PodDefaults = PodDefaults()
    """Defaults of every workload pod."""

    allowed_namespaces: Annotated[list[NamespacePattern], Field(max_length=256)] = []
    """Namespaces whose objects may use it, by name or by a pattern such as `team-*`. Unset means
    all: then whoever may create our objects anywhere can use its volumes and its nodes."""

    def is_for(self, namespace: str) -> bool:
        """Return whether objects of a namespace may use it."""
        patterns = self.allowed_namespaces
        return not patterns or any(fnmatchcase(namespace, pattern) for pattern in patterns)


class ComputeProfileStatus(ApiModel):
    """Observed state of a ComputeProfile."""

    observed_generation: int | None = None
    """`metadata.generation` that this status was computed from."""

    conditions: list[Condition] = []
    """`Accepted` and `Ready`."""
