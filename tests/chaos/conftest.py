"""A cluster of its own for tests that stop parts of it."""

from collections.abc import Iterator

import pytest

from cluster import RunningCluster, namespace, run_cluster
from tenant import operator, tenant

__all__ = ["namespace", "operator", "tenant"]


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[RunningCluster]:
    """Give a local cluster that no other test uses."""
    with run_cluster() as cluster:
        yield cluster
