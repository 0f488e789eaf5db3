"""What all parts of a running node share."""

from dataclasses import dataclass

from pretrain_local.node.allocations import Registry
from pretrain_local.node.api.client import Client
from pretrain_local.state import ClusterState, Layout


@dataclass(frozen=True)
class NodeContext:
    """A running node."""

    layout: Layout
    state: ClusterState
    client: Client
    registry: Registry

    @property
    def name(self) -> str:
        """Return the node's name."""
        return self.state.node_name

    @property
    def host_ip(self) -> str:
        """Return the node's address."""
        return self.state.block.host
