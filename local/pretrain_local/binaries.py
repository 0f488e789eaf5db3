"""Finds the programs of a cluster where their tools install them, else has them built."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pretrain_local import go_builds
from pretrain_local.errors import LocalError
from pretrain_local.go_builds import Report
from pretrain_local.programs import CLUSTER, KUBERNETES, PROGRAMS, architecture


def find(name: str, report: Report = lambda line: None) -> Path:
    """Return the path of the program `name`; build it if it is not installed.

    Raises:
        LocalError: If it must be built and cannot be.
    """
    return find_all((name,), report)[name]


def find_all(names: Sequence[str] = CLUSTER, report: Report = lambda line: None) -> dict[str, Path]:
    """Return the path of each program; `report` gets a line for each that is built.

    Raises:
        LocalError: If a program cannot be built, or an installed one has another version.
    """
    installed = {name: _installed(name) for name in names}
    missing = [name for name, path in installed.items() if path is None]
    paths = {name: path for name, path in installed.items() if path is not None}
    for number, name in enumerate(missing, 1):
        paths[name] = go_builds.build(name, f"[{number}/{len(missing)}] {name}", report)
    return {name: paths[name] for name in names}


def _installed(name: str) -> Path | None:
    folders = [assets] if (assets := _assets()) else _envtest_folders()
    for folder in (*folders, go_builds.build_folder(PROGRAMS[name])):
        path = folder / name
        if os.access(path, os.X_OK):
            return path
    return None


def _assets() -> Path | None:
    """Return `$KUBEBUILDER_ASSETS`, if set.

    Raises:
        LocalError: If it holds an API server of another version.
    """
    value = os.environ.get("KUBEBUILDER_ASSETS")
    if not value:
        return None
    server = Path(value) / "kube-apiserver"
    if os.access(server, os.X_OK):
        done = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
        version = done.stdout.split()[-1] if done.stdout else "unknown"
        if not version.startswith(f"v{KUBERNETES}."):
            raise LocalError(
                f"KUBEBUILDER_ASSETS: {value} holds Kubernetes {version}, but the cluster runs "
                f"{KUBERNETES}; point it at {KUBERNETES} (`setup-envtest use {KUBERNETES}`), "
                "or unset it"
            )
    return Path(value)


def _envtest_folders() -> list[Path]:
    """Return the folders of this version that `setup-envtest` made, newest patch first."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    store = data / "kubebuilder-envtest" / "k8s"
    folders = store.glob(f"{KUBERNETES}.*-linux-{architecture()}")
    return sorted(folders, key=lambda folder: int(folder.name.split(".")[2].split("-")[0]))[::-1]
