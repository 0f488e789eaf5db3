"""The manifests that the demo applies: the quickstart, adapted to the cluster it runs on."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pretrain_api import paths
from pretrain_api.meta import DEFAULT_PROFILE_ANNOTATION
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
        "resources": [os.path.relpath(quickstart, folder)],
        "patches": [{"target": {"kind": "ComputeProfile"}, "patch": yaml.safe_dump([replace])}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization, sort_keys=False))


def loader_pod(name: str, profiles: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Return a Pod that mounts the data volume of the default ComputeProfile, to copy text there.

    Raises:
        LookupError: If there is no default profile, or it mounts nothing at `DATA_PATH`.
    """
    spec = parse(ComputeProfileSpec, _default(profiles)["spec"])
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
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            # The same group as the pods of the workloads, which read these files.
            "securityContext": {
                "runAsNonRoot": True,
                "fsGroup": paths.GROUP,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": volume.name, **_volume_source(volume)}],
        },
    }


def _default(profiles: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    marked = [
        profile
        for profile in profiles
        if profile["metadata"].get("annotations", {}).get(DEFAULT_PROFILE_ANNOTATION) == "true"
    ]
    options = marked or profiles
    if len(options) != 1:
        raise LookupError(
            f"the cluster has {len(options)} ComputeProfiles to choose from; install the operator, "
            "write one with your images and a volume at /pretrain/data as in "
            f"examples/quickstart/1-profile.yaml, and annotate it {DEFAULT_PROFILE_ANNOTATION}=true"
        )
    return options[0]


def _volume_source(volume: Volume) -> dict[str, object]:
    if volume.persistent_volume_claim is not None:
        return {"persistentVolumeClaim": {"claimName": volume.persistent_volume_claim}}
    return {"hostPath": {"path": volume.host_path, "type": "DirectoryOrCreate"}}
