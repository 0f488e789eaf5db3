"""What all parts of a running node share."""

from dataclasses import dataclass

from pretrain_local.files import ClusterFiles
from pretrain_local.node.allocations import Allocator
from pretrain_local.node.api.client import NodeClient
from pretrain_local.state import ClusterState


@dataclass(frozen=True)
class NodeContext:
    """A running node."""

    files: ClusterFiles
    state: ClusterState
    client: NodeClient
    allocator: Allocator

    @property
    def name(self) -> str:
        """Return the node's name."""
        return self.state.node_name

    @property
    def host_ip(self) -> str:
        """Return the node's address."""
        return self.state.block.host
