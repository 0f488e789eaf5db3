"""Addresses, GPUs and hosts files of pods."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pods import make_container, make_pod_spec
from pretrain_local.addresses import LoopbackBlock
from pretrain_local.node import hosts
from pretrain_local.node.allocations import Allocator
from pretrain_local.node.api.pods import Pod
from pretrain_local.node.hosts import Host

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEFT = Host("a", "run-0", "run", "127.9.1.1")
RIGHT = Host("a", "run-1", "run", "127.9.1.2")
FAR = Host("b", "run-0", "run", "127.9.1.3")


def make_pod(uid: str, name: str, gpus: int = 0) -> Pod:
    container = make_container("pass", resources={"limits": {"nvidia.com/gpu": str(gpus)}})
    return Pod.model_validate(
        {
            "metadata": {"name": name, "namespace": "a", "uid": uid},
            "spec": make_pod_spec(container, hostname=name, subdomain="run"),
        }
    )


def test_short_names_resolve_in_the_pods_own_namespace_only() -> None:
    entries = [LEFT, RIGHT, FAR]
    assert hosts.addresses_by_name(entries, "a")["run-0.run"] == "127.9.1.1"
    assert hosts.addresses_by_name(entries, "b")["run-0.run"] == "127.9.1.3"
    assert hosts.addresses_by_name(entries, "b")["run-1.run.a.svc.cluster.local"] == "127.9.1.2"


def test_a_hosts_file_begins_with_the_pod_itself() -> None:
    lines = hosts.render([RIGHT, LEFT, FAR], LEFT).splitlines()
    assert lines[0] == "127.0.0.1 localhost"
    names = "run-0.run.a.svc.cluster.local run-0.run.a.svc run-0.run.a run-0.run run-0"
    assert lines[2] == f"127.9.1.1 {names}"
    assert [line.split()[0] for line in lines[3:]] == ["127.9.1.2", "127.9.1.3"]


def test_the_mounted_file_keeps_its_inode_and_is_never_truncated(tmp_path: Path) -> None:
    hosts.write_hosts(tmp_path, "a long first line\nsecond\n")
    number = (tmp_path / "etc-hosts").stat().st_ino
    hosts.write_hosts(tmp_path, "short\n")
    assert (tmp_path / "etc-hosts").stat().st_ino == number
    assert (tmp_path / "etc-hosts").read_text().rstrip("\n") == "short"
    assert (tmp_path / "hosts").read_text() == "short\n"


def test_a_new_pod_appears_in_the_files_of_the_others(tmp_path: Path) -> None:
    allocator = Allocator(tmp_path, LoopbackBlock(9), 0)
    allocator.allocate(make_pod("u0", "run-0"), NOW)
    second = allocator.allocate(make_pod("u1", "run-1"), NOW)
    line = f"{second.address} run-1.run.a.svc.cluster.local"
    assert line in (tmp_path / "u0" / "hosts").read_text()
    allocator.release("u1")
    assert line not in (tmp_path / "u0" / "hosts").read_text()
    assert not (tmp_path / "u1").exists()


def test_a_restarted_node_keeps_the_allocations(tmp_path: Path) -> None:
    first = Allocator(tmp_path, LoopbackBlock(9), 4).allocate(make_pod("u0", "run-0", gpus=2), NOW)
    again = Allocator(tmp_path, LoopbackBlock(9), 4)
    assert again.find("u0") == first
    other = again.allocate(make_pod("u1", "run-1", gpus=2), NOW)
    assert other.address != first.address
    assert (first.gpu_numbers["main"], other.gpu_numbers["main"]) == ((0, 1), (2, 3))


def test_an_unreadable_folder_is_reported_and_left_to_be_cleaned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "odd").mkdir()
    allocator = Allocator(tmp_path, LoopbackBlock(9), 0)
    assert allocator.find("odd") is None
    assert allocator.on_disk() == ["odd"]
    assert "odd" in caplog.text
