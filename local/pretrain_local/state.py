"""Where each thing of a cluster lies below its state folder, and what the folder remembers."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pretrain_local.addresses import Block
from pretrain_local.errors import LocalError

MARKER_VARIABLE = "PRETRAIN_CONTAINER"
"""Environment variable of every container process: its container's folder. By it, processes
whose supervisor was killed are found."""


LOGS_READER = "kube-apiserver-kubelet-client"
"""Common name of the API server's certificate when it asks a node for logs."""


def default_state() -> Path:
    """Return the state folder of a user who names none."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "pretrain-operator"


class NodeResources(BaseModel):
    """What the node says it has; the scheduler counts with it, and nothing need be real."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: int
    """Cores."""
    memory_bytes: int
    """Memory, in bytes."""
    gpus: int = 0
    """`nvidia.com/gpu`."""
    pods: int = 250
    """Pods at a time."""

    @classmethod
    def of_this_machine(cls) -> "NodeResources":
        """Return the cores and the memory of this machine, and no GPU."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(cpus=os.cpu_count() or 1, memory_bytes=memory)


class Ports(BaseModel):
    """TCP ports on the block's first address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    etcd: int = 2379
    etcd_peer: int = 2380
    apiserver: int = 6443
    node: int = 10250
    controller_manager: int = 10257
    scheduler: int = 10259


class ClusterState(BaseModel):
    """What `state.json` remembers between commands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    block_number: int
    ports: Ports
    resources: NodeResources
    sandbox: str
    node_name: str

    @property
    def block(self) -> Block:
        """Return the cluster's loopback addresses."""
        return Block(self.block_number)

    @property
    def server(self) -> str:
        """Return the URL of the API server."""
        return f"https://{self.block.host}:{self.ports.apiserver}"


class Layout:
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

    def client(self, user: str) -> Path:
        """Return the kubeconfig of a component."""
        return self.pki / f"{user}.kubeconfig"

    def read(self) -> ClusterState | None:
        """Return what is remembered, or None.

        Raises:
            LocalError: If another version wrote it.
        """
        try:
            return ClusterState.model_validate_json(self.record.read_bytes())
        except OSError:
            return None
        except ValidationError as error:
            raise LocalError(
                f"{self.record} is not of this version; run `down --state {self.root}`, then `up`"
            ) from error
