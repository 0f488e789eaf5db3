"""Flags of the components: they listen on loopback only, and clients need certificates."""

from pathlib import Path

import pytest

from pretrain_local.control_plane import components
from pretrain_local.files import ClusterFiles
from pretrain_local.state import ClusterState, NodeResources, Ports

STATE = ClusterState(
    block_number=33,
    ports=Ports(),
    resources=NodeResources(cpus=2, memory_bytes=2**30),
    sandbox="plain",
    node_name="local",
)


@pytest.mark.parametrize("name", components.COMPONENTS)
def test_every_component_stays_on_the_clusters_own_address(name: str, tmp_path: Path) -> None:
    argv = components.command(name, ClusterFiles(tmp_path), STATE, Path("/bin/program"))
    assert argv[0] == "/bin/program"
    text = " ".join(argv)
    assert "0.0.0.0" not in text
    assert "http://" not in text
    listens = [flag for flag in argv if flag.startswith(("--bind-address", "--listen-"))]
    assert [flag for flag in listens if "127.33.0.1" not in flag] == []
    assert listens or name == components.NODE, "the node takes its address from the state"


def test_etcd_talks_to_no_one_without_a_certificate(tmp_path: Path) -> None:
    flags = components.etcd(ClusterFiles(tmp_path), STATE)
    assert {"--client-cert-auth", "--peer-client-cert-auth"} <= set(flags)
