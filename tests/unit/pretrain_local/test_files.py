"""The state file of a cluster: read back as written, refused if another version wrote it."""

from pathlib import Path

import pytest

from pretrain_local.errors import LocalError
from pretrain_local.files import ClusterFiles
from pretrain_local.state import ClusterState, NodeResources, Ports

STATE = ClusterState(
    block_number=33,
    ports=Ports(),
    resources=NodeResources(cpus=2, memory_bytes=2**30),
    sandbox="plain",
    node_name="local",
)


def test_the_state_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    files = ClusterFiles(tmp_path)
    assert files.read_state() is None
    files.record.write_text(STATE.model_dump_json())
    assert files.read_state() == STATE


def test_the_state_of_another_version_says_what_to_do(tmp_path: Path) -> None:
    files = ClusterFiles(tmp_path)
    files.record.write_text('{"blockNumber": 3}')
    with pytest.raises(LocalError, match="run `down --state"):
        files.read_state()


def test_removal_keeps_the_users_own_files_in_the_state_folder(tmp_path: Path) -> None:
    files = ClusterFiles(tmp_path / "state")
    files.pods.mkdir(parents=True)
    files.record.write_text("{}")
    own = files.root / "notes"
    own.write_text("mine")
    files.remove()
    assert list(files.root.iterdir()) == [own]
    own.unlink()
    files.remove()
    assert not files.root.exists()
