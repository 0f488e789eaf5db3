"""Hosts files and the registry: who has which address, and who may know."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pods import make_container, make_pod_spec
from pretrain_local.addresses import Block
from pretrain_local.node import hosts
from pretrain_local.node.allocations import Registry
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


def test_pods_of_a_namespace_have_short_names_there_only() -> None:
    everyone = [LEFT, RIGHT, FAR]
    assert hosts.addresses_of(everyone, "a")["run-0.run"] == "127.9.1.1"
    assert hosts.addresses_of(everyone, "b")["run-0.run"] == "127.9.1.3"
    assert hosts.addresses_of(everyone, "b")["run-1.run.a.svc.cluster.local"] == "127.9.1.2"


def test_a_hosts_file_begins_with_the_pod_itself() -> None:
    lines = hosts.render([RIGHT, LEFT, FAR], LEFT).splitlines()
    assert lines[0] == "127.0.0.1 localhost"
    names = "run-0.run.a.svc.cluster.local run-0.run.a.svc run-0.run.a run-0.run run-0"
    assert lines[2] == f"127.9.1.1 {names}"
    assert [line.split()[0] for line in lines[3:]] == ["127.9.1.2", "127.9.1.3"]


def test_the_mounted_file_stays_the_same_file_and_is_never_cut(tmp_path: Path) -> None:
    hosts.write_hosts(tmp_path, "a long first line\nsecond\n")
    number = (tmp_path / "etc-hosts").stat().st_ino
    hosts.write_hosts(tmp_path, "short\n")
    assert (tmp_path / "etc-hosts").stat().st_ino == number
    assert (tmp_path / "etc-hosts").read_text().rstrip("\n") == "short"
    assert (tmp_path / "hosts").read_text() == "short\n"


def test_a_new_pod_appears_in_the_files_of_the_others(tmp_path: Path) -> None:
    registry = Registry(tmp_path, Block(9), 0)
    registry.place(make_pod("u0", "run-0"), NOW)
    second = registry.place(make_pod("u1", "run-1"), NOW)
    line = f"{second.address} run-1.run.a.svc.cluster.local"
    assert line in (tmp_path / "u0" / "hosts").read_text()
    registry.release("u1")
    assert line not in (tmp_path / "u0" / "hosts").read_text()
    assert not (tmp_path / "u1").exists()


def test_the_next_node_knows_what_the_last_one_gave(tmp_path: Path) -> None:
    given = Registry(tmp_path, Block(9), 4).place(make_pod("u0", "run-0", gpus=2), NOW)
    again = Registry(tmp_path, Block(9), 4)
    assert again.find("u0") == given
    other = again.place(make_pod("u1", "run-1", gpus=2), NOW)
    assert other.address != given.address
    assert (given.gpu_numbers["main"], other.gpu_numbers["main"]) == ((0, 1), (2, 3))


def test_an_unreadable_folder_is_reported_and_left_to_be_cleaned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "odd").mkdir()
    registry = Registry(tmp_path, Block(9), 0)
    assert registry.find("odd") is None
    assert registry.on_disk() == ["odd"]
    assert "odd" in caplog.text
