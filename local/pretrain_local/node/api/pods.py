"""The fields of a Pod that the node uses, parsed once from the API server's JSON."""

from datetime import datetime
from typing import Any, Literal

from pretrain_local.node.api.schema import (
    ApiType,
    FieldSelector,
    KeySelector,
    ObjectSelector,
    ResourceFieldSelector,
)
from pretrain_local.node.api.volume_types import PodVolume


class EnvVarSource(ApiType):
    """Source of an environment variable's value; one field is set."""

    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(ApiType):
    """An environment variable."""

    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class EnvFromSource(ApiType):
    """Environment variables from all keys of a ConfigMap or Secret."""

    prefix: str = ""
    config_map_ref: ObjectSelector | None = None
    secret_ref: ObjectSelector | None = None


class VolumeMount(ApiType):
    """A volume in a container's file system."""

    name: str
    mount_path: str
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False


class ResourceRequirements(ApiType):
    """Limits and requests of a container, by resource name."""

    limits: dict[str, str | int] = {}
    requests: dict[str, str | int] = {}


class Container(ApiType):
    """A container; its image is not used, since every container runs this machine's programs."""

    name: str
    image: str = ""
    command: list[str] = []
    args: list[str] = []
    working_dir: str = ""
    env: list[EnvVar] = []
    env_from: list[EnvFromSource] = []
    restart_policy: str = ""
    """`Always` makes an init container a sidecar."""
    resources: ResourceRequirements = ResourceRequirements()
    volume_mounts: list[VolumeMount] = []
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: Literal["File", "FallbackToLogsOnError"] = "File"


class PodSpec(ApiType):
    """The spec of a Pod."""

    containers: list[Container]
    init_containers: list[Container] = []
    volumes: list[PodVolume] = []
    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    node_name: str = ""
    hostname: str = ""
    subdomain: str = ""
    service_account_name: str = "default"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None


class ObjectMeta(ApiType):
    """Metadata of a Pod."""

    name: str
    namespace: str
    uid: str
    resource_version: int = 0
    """Increases with each change of the object."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None


class Pod(ApiType):
    """A Pod as the API server returned it."""

    metadata: ObjectMeta
    spec: PodSpec
    status: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """Return namespace and name."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def path(self) -> str:
        """Return its path in the API server."""
        return f"/api/v1/namespaces/{self.metadata.namespace}/pods/{self.metadata.name}"

    @property
    def hostname(self) -> str:
        """Return the host name inside the pod."""
        return self.spec.hostname or self.metadata.name

    @property
    def is_finished(self) -> bool:
        """Return whether its final phase is in the API server."""
        return self.status.get("phase") in ("Succeeded", "Failed")
