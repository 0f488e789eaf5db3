"""The address of pod 0: from the hosts file of the node or from DNS, and awaited."""

from pathlib import Path

import pytest

from pretrain_api import paths
from pretrain_workloads.trainer.pod import rendezvous


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


def test_a_name_that_never_resolves_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
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
