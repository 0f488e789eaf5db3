"""The part of Kubernetes' Pod that this node runs, parsed once from the API server's JSON."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class _Part(BaseModel):
    # What this node does not know, it passes over: the API server has already validated it.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )


class KeyRef(_Part):
    """One key of a ConfigMap or Secret."""

    name: str = ""
    key: str
    optional: bool = False


class FieldRef(_Part):
    """A field of the pod itself."""

    field_path: str


class ResourceRef(_Part):
    """A limit or request of a container."""

    resource: str
    container_name: str = ""
    divisor: str | int = "1"


class EnvSource(_Part):
    """Where an environment variable's value comes from; one is set."""

    field_ref: FieldRef | None = None
    resource_field_ref: ResourceRef | None = None
    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None


class EnvVar(_Part):
    """An environment variable."""

    name: str
    value: str = ""
    value_from: EnvSource | None = None


class ObjectRef(_Part):
    """A ConfigMap or Secret as a whole."""

    name: str = ""
    optional: bool = False


class EnvFrom(_Part):
    """Variables from all keys of an object."""

    prefix: str = ""
    config_map_ref: ObjectRef | None = None
    secret_ref: ObjectRef | None = None


class VolumeMount(_Part):
    """Where a container sees a volume."""

    name: str
    mount_path: str
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False


class Resources(_Part):
    """What a container may use and asks for."""

    limits: dict[str, str | int] = {}
    requests: dict[str, str | int] = {}


class Container(_Part):
    """A container, less its image: every container here runs this machine's programs."""

    name: str
    image: str = ""
    command: list[str] = []
    args: list[str] = []
    working_dir: str = ""
    env: list[EnvVar] = []
    env_from: list[EnvFrom] = []
    restart_policy: str = ""
    """`Always` makes an init container a sidecar."""
    resources: Resources = Resources()
    volume_mounts: list[VolumeMount] = []
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: Literal["File", "FallbackToLogsOnError"] = "File"


class KeyToPath(_Part):
    """A file of a volume."""

    key: str
    path: str
    mode: int | None = None


class ObjectVolume(_Part):
    """A ConfigMap or Secret as files; Kubernetes calls the name of a Secret differently."""

    name: str = ""
    secret_name: str = ""
    items: list[KeyToPath] = []
    optional: bool = False
    default_mode: int = 0o644

    @property
    def object_name(self) -> str:
        """Return the name of the ConfigMap or Secret."""
        return self.secret_name or self.name


class DownwardFile(_Part):
    """A fact about the pod, as a file."""

    path: str
    mode: int | None = None
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceRef | None = None


class DownwardVolume(_Part):
    """Facts about the pod, as files."""

    items: list[DownwardFile] = []
    default_mode: int = 0o644


class TokenProjection(_Part):
    """A token of the pod's service account."""

    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class Projection(_Part):
    """One part of a projected volume."""

    config_map: ObjectVolume | None = None
    secret: ObjectVolume | None = None
    downward_api: DownwardVolume | None = None
    service_account_token: TokenProjection | None = None

    model_config = ConfigDict(
        alias_generator=lambda name: "downwardAPI" if name == "downward_api" else to_camel(name),
        populate_by_name=True,
        frozen=True,
        extra="ignore",
    )


class ProjectedVolume(_Part):
    """Several sources in one folder."""

    sources: list[Projection] = []
    default_mode: int = 0o644


class HostPath(_Part):
    """A path of this machine."""

    path: str
    type: str = ""


class Volume(Projection):
    """A volume; one of its kinds is set."""

    model_config = ConfigDict(extra="allow")

    name: str
    empty_dir: dict[str, Any] | None = None
    host_path: HostPath | None = None
    projected: ProjectedVolume | None = None


class PodSpec(_Part):
    """What a pod shall run."""

    containers: list[Container]
    init_containers: list[Container] = []
    volumes: list[Volume] = []
    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    node_name: str = ""
    hostname: str = ""
    subdomain: str = ""
    service_account_name: str = "default"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None


class Metadata(_Part):
    """Who a pod is."""

    name: str
    namespace: str
    uid: str
    resource_version: int = 0
    """Grows with each change of the object."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None


class Pod(_Part):
    """A pod as the API server has it."""

    metadata: Metadata
    spec: PodSpec
    status: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """Return namespace and name."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def hostname(self) -> str:
        """Return what the pod calls itself."""
        return self.spec.hostname or self.metadata.name

    @property
    def is_finished(self) -> bool:
        """Return whether its last word is written."""
        return self.status.get("phase") in ("Succeeded", "Failed")
