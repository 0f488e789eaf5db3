"""Volumes on disk: a folder for each volume below its pod's folder, or a path of the machine."""

from collections.abc import Mapping
from pathlib import Path

from pretrain_local.atomic_files import write_atomically
from pretrain_local.node.api.pod_inputs import NotReady
from pretrain_local.node.api.volume_types import HostPathSource, PodVolume
from pretrain_local.node.volumes.contents import VolumeFile


def write_volume(volume: PodVolume, files: Mapping[str, VolumeFile], folder: Path) -> Path:
    """Make the volume; return its folder, below `folder` unless it is a hostPath.

    Raises:
        NotReady: If the node does not support its kind, or its hostPath does not exist.
    """
    if volume.host_path:
        return _host_path(volume.name, volume.host_path)
    supported = (
        volume.config_map, volume.secret, volume.downward_api, volume.projected, volume.empty_dir
    )  # fmt: skip
    if all(source is None for source in supported):
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


def _host_path(name: str, source: HostPathSource) -> Path:
    path = Path(source.path)
    if source.type == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif source.type == "FileOrCreate":
        path.touch()
    if not path.exists():
        raise NotReady(
            f'MountVolume.SetUp failed for volume "{name}": hostPath {source.path} does not '
            "exist on this machine; make it, or set the type DirectoryOrCreate"
        )
    return path
