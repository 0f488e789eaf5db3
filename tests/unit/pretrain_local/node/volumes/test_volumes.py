"""Volumes: contents and modes of their files, and errors of unsupported ones."""

import stat
from pathlib import Path
from typing import Any

import pytest

from pod_inputs import make_pod_inputs
from pods import make_container
from pretrain_local.node.api.pod_inputs import NotReady
from pretrain_local.node.api.volume_types import PodVolume
from pretrain_local.node.volumes.contents import ServiceAccountTokens, VolumeFile, volume_files
from pretrain_local.node.volumes.folders import write_volume


def files(
    volume: dict[str, Any], tokens: ServiceAccountTokens | None = None
) -> dict[str, VolumeFile]:
    parsed = PodVolume.model_validate({"name": "v"} | volume)
    return volume_files(parsed, make_pod_inputs(make_container("pass")), tokens or {})


def test_a_configmap_is_a_file_for_each_key() -> None:
    written = files({"configMap": {"name": "settings"}})
    assert {name: file.content for name, file in written.items()} == {
        "colour": b"blue",
        "shape": b"round",
    }


def test_items_choose_keys_paths_and_modes() -> None:
    item = {"key": "token", "path": "deep/token", "mode": 0o400}
    written = files({"secret": {"secretName": "keys", "items": [item]}})
    assert written == {"deep/token": VolumeFile(b"hidden", 0o400)}


def test_a_projected_volume_joins_its_sources() -> None:
    field = {"fieldPath": "metadata.namespace"}
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "settings", "items": [{"key": "shape", "path": "s"}]}},
        {"downwardAPI": {"items": [{"path": "ns", "fieldRef": field}]}},
    ]  # fmt: skip
    written = files({"projected": {"sources": sources}}, {("", 3607): "secret-token"})
    contents = {name: file.content for name, file in written.items()}
    assert contents == {"token": b"secret-token", "s": b"round", "ns": b"n"}
    assert written["token"].mode == 0o600


def test_a_missing_object_names_the_volume_too() -> None:
    with pytest.raises(NotReady, match='volume "v": secret "absent"'):
        files({"secret": {"secretName": "absent"}})


def test_an_optional_missing_object_is_an_empty_volume() -> None:
    assert files({"secret": {"secretName": "absent", "optional": True}}) == {}


def test_files_are_written_with_their_modes(tmp_path: Path) -> None:
    volume = PodVolume.model_validate({"name": "v", "secret": {"secretName": "keys"}})
    root = write_volume(volume, {"a/b": VolumeFile(b"x", 0o440)}, tmp_path)
    assert (root / "a" / "b").read_bytes() == b"x"
    assert stat.S_IMODE((root / "a" / "b").stat().st_mode) == 0o440


def test_the_error_for_a_missing_host_path_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "absent"
    volume = {"name": "v", "hostPath": {"path": str(path)}}
    with pytest.raises(NotReady, match="make it, or set the type DirectoryOrCreate"):
        write_volume(PodVolume.model_validate(volume), {}, tmp_path)
    volume = {"name": "v", "hostPath": {"path": str(path), "type": "DirectoryOrCreate"}}
    assert write_volume(PodVolume.model_validate(volume), {}, tmp_path) == path
    assert path.is_dir()


def test_an_unsupported_kind_of_volume_is_refused_by_name(tmp_path: Path) -> None:
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    with pytest.raises(NotReady, match="persistentVolumeClaim, which the process node lacks"):
        write_volume(PodVolume.model_validate(volume), {}, tmp_path)
