"""The volumes of a Pod, in the API's terms: where their files come from."""

from typing import Any

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from pretrain_local.node.api.schema import ApiType, FieldSelector, ResourceFieldSelector


class KeyToPath(ApiType):
    """One key of a ConfigMap or Secret as a file."""

    key: str
    path: str
    mode: int | None = None


class ObjectVolumeSource(ApiType):
    """A ConfigMap or Secret as files."""

    name: str = ""
    """Name of the ConfigMap; in a projected volume of the Secret too."""
    secret_name: str = ""
    """Name of the Secret of a Secret volume."""
    items: list[KeyToPath] = []
    optional: bool = False
    default_mode: int = 0o644

    @property
    def object_name(self) -> str:
        """Return the name of the ConfigMap or Secret."""
        return self.secret_name or self.name


class DownwardFile(ApiType):
    """A field of the pod as a file."""

    path: str
    mode: int | None = None
    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None


class DownwardVolumeSource(ApiType):
    """Fields of the pod as files."""

    items: list[DownwardFile] = []
    default_mode: int = 0o644


class TokenProjection(ApiType):
    """A token of the pod's service account as a file."""

    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class VolumeProjection(ApiType):
    """One source of a projected volume; one field is set."""

    config_map: ObjectVolumeSource | None = None
    secret: ObjectVolumeSource | None = None
    downward_api: DownwardVolumeSource | None = None
    service_account_token: TokenProjection | None = None

    model_config = ConfigDict(
        alias_generator=lambda name: "downwardAPI" if name == "downward_api" else to_camel(name),
        populate_by_name=True,
        frozen=True,
        extra="ignore",
    )


class ProjectedVolumeSource(ApiType):
    """Several sources in one folder."""

    sources: list[VolumeProjection] = []
    default_mode: int = 0o644


class HostPathSource(ApiType):
    """A path of this machine."""

    path: str
    type: str = ""


class PodVolume(VolumeProjection):
    """A volume; one of its sources is set."""

    # Unsupported kinds of volumes are kept, to name them in the error.
    model_config = ConfigDict(extra="allow")

    name: str
    empty_dir: dict[str, Any] | None = None
    host_path: HostPathSource | None = None
    projected: ProjectedVolumeSource | None = None
