"""Kueue's real controller beside a cluster, with a queue that has room for one run."""

from collections.abc import Iterator
from typing import Any

import pytest

from cluster import RunningCluster, make_namespace, remove_namespace, run_cluster
from pretrain_local.operator_process import OperatorProcess
from queues.kueue import Kueue, cluster_queue, local_queue, priority
from tenant import Tenant, operator

__all__ = ["operator"]

POD = {"cpu": "500m", "memory": "4Gi"}
"""What a pod of a run requests; a run has two."""


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[RunningCluster]:
    """Give a local cluster that no other test uses."""
    with run_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kueue(
    local_cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kueue]:
    """Run Kueue, with two priorities."""
    with Kueue(local_cluster, tmp_path_factory.mktemp("kueue")) as running:
        yield running


@pytest.fixture(scope="module")
def team(
    kueue: Kueue, operator: OperatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenant]:
    """Give a tenant with token blocks, and a queue with room for one run."""
    space = make_namespace(kueue.cluster)
    tenant = Tenant(space, tmp_path_factory.mktemp("team"))
    tenant.write_profile(trainer=POD)
    quota = {"cpu": "1", "memory": "8Gi", "ephemeral-storage": "1Ti"}
    flavor: dict[str, Any] = {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "ResourceFlavor",
        "metadata": {"name": "default"},
    }
    space.apply(flavor, cluster_queue(space.name, quota), local_queue("research", space.name))
    space.apply(priority("urgent", 1000), priority("patient", 10))
    tenant.make_blocks(labels={"kueue.x-k8s.io/queue-name": "research"})
    yield tenant
    tenant.remove()
    remove_namespace(space)
