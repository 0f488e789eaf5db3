"""The manifests that the demo applies: the quickstart, fitted to the place where it runs."""

from pathlib import Path

import yaml

from pretrain_api.problems import parse
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec, Volume

DATA_PATH = "/pretrain/data"
"""Where the quickstart's `file://` URIs point."""


def write_overlay(folder: Path, quickstart: Path, data: Path) -> None:
    """Write a kustomization that is the quickstart with its volume at `data` on this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    replace = {"op": "replace", "path": "/spec/pods/volumes/0/hostPath", "value": str(data)}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(Path("..", "..", quickstart.relative_to(folder.parent.parent)))],
        "patches": [{"target": {"kind": "ComputeProfile"}, "patch": yaml.safe_dump([replace])}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization, sort_keys=False))


def loader_pod(name: str, profile: object) -> dict[str, object]:
    """Return a Pod that mounts the data volume of a cluster's ComputeProfile, to copy text into it.

    Raises:
        LookupError: If the profile mounts nothing at `DATA_PATH`.
    """
    spec = parse(ComputeProfileSpec, profile)
    volume = next((v for v in spec.pods.volumes if v.mount_path == DATA_PATH), None)
    if volume is None:
        raise LookupError(
            f"the ComputeProfile mounts no volume at {DATA_PATH}; the quickstart's URIs start there"
        )
    container = {
        "name": "loader",
        "image": spec.images.data,
        "imagePullPolicy": spec.images.pull_policy,
        "command": ["sleep", "3600"],
        "volumeMounts": [{"name": volume.name, "mountPath": DATA_PATH}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [{"name": volume.name, **_volume_source(volume)}],
        },
    }


def _volume_source(volume: Volume) -> dict[str, object]:
    if volume.persistent_volume_claim is not None:
        return {"persistentVolumeClaim": {"claimName": volume.persistent_volume_claim}}
    return {"hostPath": {"path": volume.host_path, "type": "DirectoryOrCreate"}}
