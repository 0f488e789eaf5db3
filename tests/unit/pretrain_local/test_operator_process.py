"""Processes of the operator: found again by name, replaced by a new start, checked for life."""

import time
from pathlib import Path

import pytest

from pretrain_local.operator_process import OperatorEnded, OperatorProcess

SERVER = ("http.server", "--bind", "127.0.0.1", "0")


def test_a_process_is_found_again_and_stopped_by_another_object(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    with OperatorProcess(kubeconfig, tmp_path, "server", SERVER) as running:
        again = OperatorProcess(kubeconfig, tmp_path, "server", SERVER)
        again.check()
        again.kill()
        with pytest.raises(OperatorEnded, match="the server has ended"):
            running.check()


def test_a_process_that_has_ended_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with OperatorProcess(tmp_path / "kubeconfig", tmp_path, module=("this",)) as running:
        with pytest.raises(OperatorEnded, match=r"the operator has ended:\n(?s:.*)Namespaces"):
            check_for(running, 10)
    assert running.log.parent == tmp_path


def check_for(process: OperatorProcess, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        process.check()
        time.sleep(0.01)
