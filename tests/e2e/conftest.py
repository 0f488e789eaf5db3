import secrets
import shutil
from collections.abc import Iterator

import pytest

from cluster import (
    RunningCluster,
    local_cluster,
    make_namespace,
    namespace,
    remove_namespace,
)
from e2e import chain
from e2e.place import Place
from pretrain_local.operator_process import OperatorProcess
from tenant import operator

__all__ = ["local_cluster", "namespace", "operator"]


@pytest.fixture(scope="module")
def place(
    local_cluster: RunningCluster,
    operator: OperatorProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """Give a place with raw text, for all tests of a module."""
    made = make_namespace(local_cluster)
    data = tmp_path_factory.mktemp("data")
    chain.write_corpus(data / "raw")
    profile = f"tiny-{secrets.token_hex(4)}"
    manifest = chain.profile(data)
    manifest["metadata"]["name"] = profile
    made.apply(manifest)
    try:
        yield Place(made, data, profile)
    finally:
        remove_namespace(made)
        local_cluster.kubectl("delete", "computeprofile", profile)
        shutil.rmtree(data, ignore_errors=True)
