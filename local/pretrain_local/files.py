"""Where the files of a cluster lie below its state folder, and the user's default folders."""

import os
import shutil
from pathlib import Path

from pydantic import ValidationError

from pretrain_local.errors import LocalError
from pretrain_local.state import ClusterState


def default_state() -> Path:
    """Return the state folder of a user who names none."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "pretrain-operator"


def cache_folder() -> Path:
    """Return the user's folder for files that can be built or downloaded again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pretrain-operator"


class ClusterFiles:
    """The paths below a state folder."""

    def __init__(self, state: Path) -> None:
        self.root = state.absolute()
        self.lock = self.root / "lock"
        self.record = self.root / "state.json"
        self.kubeconfig = self.root / "kubeconfig"
        self.pki = self.root / "pki"
        self.run = self.root / "run"
        self.logs = self.root / "logs"
        self.etcd = self.root / "etcd"
        self.pods = self.root / "pods"

    def component_kubeconfig(self, user: str) -> Path:
        """Return the kubeconfig of a component of the control plane."""
        return self.pki / f"{user}.kubeconfig"

    def read_state(self) -> ClusterState | None:
        """Return the stored state, or None if there is none.

        Raises:
            LocalError: If another version wrote it.
        """
        try:
            return ClusterState.model_validate_json(self.record.read_bytes())
        except OSError:
            return None
        except ValidationError as error:
            raise LocalError(
                f"{self.record} was written by another version; run `down --state {self.root}`, "
                "then `up`"
            ) from error

    def remove(self) -> None:
        """Remove all files of the cluster; the state folder stays if the user has files in it."""
        for folder in (self.pki, self.run, self.logs, self.etcd, self.pods):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.record, self.kubeconfig, self.lock):
            file.unlink(missing_ok=True)
        try:
            self.root.rmdir()
        except OSError:
            pass  # Not empty: the rest is the user's.
