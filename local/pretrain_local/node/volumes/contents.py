"""The files of volumes that Kubernetes fills: ConfigMaps, Secrets, downward API, tokens. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from pretrain_local.node.api.pod_inputs import NotReady, PodInputs
from pretrain_local.node.api.references import ObjectReference, ReferenceKind
from pretrain_local.node.api.volume_types import (
    DownwardVolumeSource,
    KeyToPath,
    ObjectVolumeSource,
    PodVolume,
    VolumeProjection,
)


@dataclass(frozen=True)
class VolumeFile:
    """A file of a volume."""

    content: bytes
    mode: int


type ServiceAccountTokens = Mapping[tuple[str, int], str]
"""Tokens by audience and lifetime in seconds."""


def volume_files(
    volume: PodVolume, inputs: PodInputs, tokens: ServiceAccountTokens
) -> dict[str, VolumeFile]:
    """Return the files of a volume by path; empty if Kubernetes does not fill it.

    Raises:
        NotReady: If an object that it shows is absent.
    """
    try:
        if volume.projected is None:
            return _projection_files(volume, inputs, tokens, None)
        files: dict[str, VolumeFile] = {}
        for source in volume.projected.sources:
            files |= _projection_files(source, inputs, tokens, volume.projected.default_mode)
        return files
    except NotReady as error:
        message = f'MountVolume.SetUp failed for volume "{volume.name}": {error}'
        raise NotReady(message) from None


def _projection_files(
    source: VolumeProjection, inputs: PodInputs, tokens: ServiceAccountTokens, mode: int | None
) -> dict[str, VolumeFile]:
    """Return the files of one source; `mode`, if set, replaces the source's default mode."""
    files: dict[str, VolumeFile] = {}
    if source.config_map:
        files |= _object_files("configmap", source.config_map, inputs, mode)
    if source.secret:
        files |= _object_files("secret", source.secret, inputs, mode)
    if source.downward_api:
        files |= _downward_files(source.downward_api, inputs, mode)
    if token := source.service_account_token:
        content = tokens[token.audience, token.expiration_seconds].encode()
        files[token.path] = VolumeFile(content, 0o600)
    return files


def _object_files(
    kind: ReferenceKind, source: ObjectVolumeSource, inputs: PodInputs, mode: int | None
) -> dict[str, VolumeFile]:
    reference = ObjectReference(kind, source.object_name, source.optional)
    data = inputs.data(reference)
    if data is None:
        return {}
    default = source.default_mode if mode is None else mode
    files = {}
    for item in source.items or [KeyToPath(key=key, path=key) for key in data]:
        content = inputs.value(reference, item.key)
        if content is not None:
            files[item.path] = VolumeFile(content, default if item.mode is None else item.mode)
    return files


def _downward_files(
    source: DownwardVolumeSource, inputs: PodInputs, mode: int | None
) -> dict[str, VolumeFile]:
    default = source.default_mode if mode is None else mode
    files = {}
    for item in source.items:
        if item.field_ref:
            text = inputs.field(item.field_ref.field_path)
        elif item.resource_field_ref:
            text = inputs.resource(item.resource_field_ref, inputs.pod.spec.containers[0])
        else:
            continue
        files[item.path] = VolumeFile(text.encode(), default if item.mode is None else item.mode)
    return files
