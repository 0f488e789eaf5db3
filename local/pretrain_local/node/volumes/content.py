"""The volumes of a pod as folders of this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pretrain_local.atomic_files import write_atomically
from pretrain_local.node.api.pod_inputs import Facts, Kind, NotReady, Wanted
from pretrain_local.node.api.pods import (
    DownwardVolume,
    HostPath,
    KeyToPath,
    ObjectVolume,
    Projection,
    TokenProjection,
    Volume,
)


@dataclass(frozen=True)
class VolumeFile:
    """A file that Kubernetes fills."""

    content: bytes
    mode: int


Tokens = Mapping[tuple[str, int], str]
"""Service-account tokens by audience and lifetime in seconds."""


def wanted_tokens(volumes: Sequence[Volume]) -> list[TokenProjection]:
    """Return the service-account tokens that `volumes` hold."""
    return [
        source.service_account_token
        for volume in volumes
        if volume.projected
        for source in volume.projected.sources
        if source.service_account_token
    ]


def volume_files(volume: Volume, facts: Facts, tokens: Tokens) -> dict[str, VolumeFile]:
    """Return the files of a volume that Kubernetes fills, by path; empty for the others.

    Raises:
        NotReady: If an object that it shows is absent.
    """
    try:
        if volume.projected is None:
            return _part(volume, facts, tokens, None)
        files: dict[str, VolumeFile] = {}
        for source in volume.projected.sources:
            files |= _part(source, facts, tokens, volume.projected.default_mode)
        return files
    except NotReady as error:
        message = f'MountVolume.SetUp failed for volume "{volume.name}": {error}'
        raise NotReady(message) from None


def _part(
    part: Projection, facts: Facts, tokens: Tokens, mode: int | None
) -> dict[str, VolumeFile]:
    files: dict[str, VolumeFile] = {}
    if part.config_map:
        files |= _object_files("configmap", part.config_map, facts, mode)
    if part.secret:
        files |= _object_files("secret", part.secret, facts, mode)
    if part.downward_api:
        files |= _downward_files(part.downward_api, facts, mode)
    if token := part.service_account_token:
        content = tokens[token.audience, token.expiration_seconds].encode()
        files[token.path] = VolumeFile(content, 0o600)
    return files


def _object_files(
    kind: Kind, volume: ObjectVolume, facts: Facts, mode: int | None
) -> dict[str, VolumeFile]:
    wanted = Wanted(kind, volume.object_name, volume.optional)
    data = facts.data(wanted)
    if data is None:
        return {}
    default = volume.default_mode if mode is None else mode
    files = {}
    for item in volume.items or [KeyToPath(key=key, path=key) for key in data]:
        content = facts.value(wanted, item.key)
        if content is not None:
            files[item.path] = VolumeFile(content, default if item.mode is None else item.mode)
    return files


def _downward_files(
    volume: DownwardVolume, facts: Facts, mode: int | None
) -> dict[str, VolumeFile]:
    default = volume.default_mode if mode is None else mode
    files = {}
    for item in volume.items:
        if item.field_ref:
            text = facts.field(item.field_ref.field_path)
        elif item.resource_field_ref:
            text = facts.resource(item.resource_field_ref, facts.pod.spec.containers[0])
        else:
            continue
        files[item.path] = VolumeFile(text.encode(), default if item.mode is None else item.mode)
    return files


def write_volume(volume: Volume, files: Mapping[str, VolumeFile], folder: Path) -> Path:
    """Make the volume and return its folder: below `folder`, or a path of this machine.

    Raises:
        NotReady: If it is of a kind that needs more than one machine, or its path is missing.
    """
    if volume.host_path:
        return _host_path(volume.name, volume.host_path)
    known = (
        volume.config_map, volume.secret, volume.downward_api, volume.projected, volume.empty_dir
    )  # fmt: skip
    if all(kind is None for kind in known):
        kinds = ", ".join(volume.model_extra or {}) or "unknown"
        raise NotReady(
            f'volume "{volume.name}" is of the kind {kinds}, which the process node lacks; '
            "use emptyDir, hostPath, configMap, secret, downwardAPI or projected"
        )
    root = folder / volume.name
    root.mkdir(parents=True, exist_ok=True)
    if volume.empty_dir is not None:
        root.chmod(0o777)
    for name, file in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, file.content, file.mode)
        path.chmod(file.mode)
    return root


def _host_path(name: str, volume: HostPath) -> Path:
    path = Path(volume.path)
    if volume.type == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif volume.type == "FileOrCreate":
        path.touch()
    if not path.exists():
        raise NotReady(
            f'MountVolume.SetUp failed for volume "{name}": hostPath {volume.path} does not '
            "exist on this machine; make it, or set the type DirectoryOrCreate"
        )
    return path
