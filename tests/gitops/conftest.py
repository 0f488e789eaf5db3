"""Flux's real controllers beside a cluster, and a Git server."""

from collections.abc import Iterator

import pytest

from cluster import RunningCluster, make_namespace, namespace, remove_namespace, run_cluster
from gitops.flux import Flux, Training
from gitops.git_server import GitServer
from tenant import operator, tenant

__all__ = ["namespace", "operator", "tenant"]


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[RunningCluster]:
    """Give a local cluster that no other test uses."""
    with run_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def flux(local_cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flux]:
    """Run Flux's controllers for sources and kustomizations."""
    with Flux(local_cluster, tmp_path_factory.mktemp("flux")) as running:
        yield running


@pytest.fixture
def training(flux: Flux, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    """Give a repository whose commits are applied to a namespace."""
    space = make_namespace(flux.cluster)
    with GitServer(tmp_path_factory.mktemp("git")) as repository:
        made = Training(space, repository)
        made.follow()
        yield made
        made.forget()
    remove_namespace(space)
