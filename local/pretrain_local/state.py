"""The state of a cluster that is kept between commands, in `state.json`."""

import os

from pydantic import BaseModel, ConfigDict

from pretrain_local.addresses import LoopbackBlock


class NodeResources(BaseModel):
    """Capacity that the node advertises; the scheduler uses it, the machine need not have it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: int
    """Cores."""
    memory_bytes: int
    """Memory, in bytes."""
    gpus: int = 0
    """Number of `nvidia.com/gpu`."""
    pods: int = 250
    """Most pods at a time."""

    @classmethod
    def of_this_machine(cls) -> "NodeResources":
        """Return the cores and the memory of this machine, and no GPU."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(cpus=os.cpu_count() or 1, memory_bytes=memory)


class Ports(BaseModel):
    """TCP ports on the first address of the loopback block."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    etcd: int = 2379
    etcd_peer: int = 2380
    apiserver: int = 6443
    node: int = 10250
    controller_manager: int = 10257
    scheduler: int = 10259


class ClusterState(BaseModel):
    """Content of `state.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    block_number: int
    """Number of the loopback block: 33 stands for `127.33.0.0/16`."""
    ports: Ports
    resources: NodeResources
    sandbox: str
    """`bubblewrap` or `plain`."""
    node_name: str

    @property
    def block(self) -> LoopbackBlock:
        """Return the cluster's loopback addresses."""
        return LoopbackBlock(self.block_number)

    @property
    def server(self) -> str:
        """Return the URL of the API server."""
        return f"https://{self.block.host}:{self.ports.apiserver}"
