"""What the launcher learns from its node: pod 0's address, cores, memory kills."""

from pathlib import Path

import pytest

from pretrain_api import paths
from pretrain_workloads.trainer.pod import rendezvous, resources


def test_the_hosts_file_of_the_node_names_pod_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# pods\n127.1.2.3 run-0.run run-0  # first\n\n127.1.2.4 run-1\n")
    monkeypatch.setenv(paths.HOSTS_VARIABLE, str(hosts))
    assert rendezvous.find_address("run-0", 0) == "127.1.2.3"
    assert rendezvous.find_address("run-1", 0) == "127.1.2.4"


def test_a_name_that_appears_later_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = tmp_path / "hosts"
    monkeypatch.setenv(paths.HOSTS_VARIABLE, str(hosts))
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        hosts.write_text("127.1.2.3 pod-0.invalid\n")

    assert rendezvous.find_address("pod-0.invalid", 60, sleep) == "127.1.2.3"
    assert len(pauses) == 1


def test_a_name_that_never_appears_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(paths.HOSTS_VARIABLE, raising=False)
    with pytest.raises(rendezvous.Unresolved, match=r"pod-0\.invalid: has no address after 0 s"):
        rendezvous.find_address("pod-0.invalid", 0)


def test_an_address_needs_no_name() -> None:
    assert rendezvous.find_address("127.0.0.1", 0) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "want"), [("127.3.4.5", True), ("::1", True), ("10.0.0.1", False), ("pod", False)]
)
def test_loopback_is_known(address: str, want: bool) -> None:
    assert rendezvous.is_loopback(address) is want


def test_a_cpu_limit_counts_less_than_a_core_as_one(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert resources.cores(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert resources.cores(tmp_path) >= 1


def test_kills_for_memory_are_counted_in_both_versions_of_cgroups(tmp_path: Path) -> None:
    assert resources.memory_kills(tmp_path) == 0
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.oom_control").write_text("under_oom 0\noom_kill 3\n")
    assert resources.memory_kills(tmp_path) == 3
    (tmp_path / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    assert resources.memory_kills(tmp_path) == 2
