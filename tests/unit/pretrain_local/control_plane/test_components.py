"""The servers' flags: nothing beyond loopback, nothing without a certificate."""

from pathlib import Path

import pytest

from pretrain_local.control_plane import components as controlplane
from pretrain_local.errors import LocalError
from pretrain_local.state import ClusterState, Layout, NodeResources, Ports

STATE = ClusterState(
    block_number=33,
    ports=Ports(),
    resources=NodeResources(cpus=2, memory_bytes=2**30),
    sandbox="plain",
    node_name="local",
)


@pytest.mark.parametrize("name", controlplane.COMPONENTS)
def test_every_component_stays_on_the_clusters_own_address(name: str, tmp_path: Path) -> None:
    argv = controlplane.command(name, Layout(tmp_path), STATE, Path("/bin/program"))
    assert argv[0] == "/bin/program"
    text = " ".join(argv)
    assert "0.0.0.0" not in text
    assert "http://" not in text
    listens = [flag for flag in argv if flag.startswith(("--bind-address", "--listen-"))]
    assert [flag for flag in listens if "127.33.0.1" not in flag] == []
    assert listens or name == controlplane.NODE, "the node takes its address from the state"


def test_etcd_talks_to_no_one_without_a_certificate(tmp_path: Path) -> None:
    flags = controlplane.etcd(Layout(tmp_path), STATE)
    assert {"--client-cert-auth", "--peer-client-cert-auth"} <= set(flags)


def test_the_state_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.read() is None
    layout.record.write_text(STATE.model_dump_json())
    assert layout.read() == STATE


def test_the_state_of_another_version_says_what_to_do(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.record.write_text('{"blockNumber": 3}')
    with pytest.raises(LocalError, match="run `down --state"):
        layout.read()
