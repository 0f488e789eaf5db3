"""Local clusters for the node's tests, one for each sandbox that works on this machine."""

from collections.abc import Iterator

import pytest

from cluster import Namespace, RunningCluster, make_namespace, remove_namespace, run_cluster
from pretrain_local.node.runtime import sandbox

KINDS = [sandbox.PLAIN]
if sandbox.bubblewrap_problem() is None:
    KINDS.append(sandbox.BUBBLEWRAP)


@pytest.fixture(scope="session", params=KINDS)
def node_cluster(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    with run_cluster(request.param) as cluster:
        yield cluster


@pytest.fixture
def space(node_cluster: RunningCluster) -> Iterator[Namespace]:
    made = make_namespace(node_cluster)
    try:
        yield made
    finally:
        remove_namespace(made)
