from collections.abc import Iterator

import pytest

from api_server import ApiServer
from cluster import RunningCluster, local_cluster

__all__ = ["local_cluster"]


@pytest.fixture(scope="session")
def api_server(local_cluster: RunningCluster) -> Iterator[ApiServer]:
    """Give an API server with our CRDs."""
    local_cluster.install_crds()
    server = ApiServer(local_cluster.kubeconfig)
    try:
        yield server
    finally:
        server.close()
