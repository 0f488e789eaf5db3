"""Renewing a lease: what ends the attempt, what does not, and that it is renewed while waiting."""

from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from integration.trainer.training_runs import make_run
from pretrain_api import paths
from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder
from pretrain_workloads.trainer.launcher import find_first_pod
from pretrain_workloads.trainer.run_folder.holder import LeaseLost
from pretrain_workloads.trainer.run_folder.lease import Lease


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    monkeypatch.delenv(paths.HOSTS_VARIABLE, raising=False)


def attempt(number: int) -> TrainingRun:
    return TrainingRun.model_validate(
        {**make_run(), "uid": "u1", "attempt": number, "rendezvousHost": "pod-0.invalid"}
    )


def test_a_key_that_is_refused_for_a_moment_does_not_end_a_running_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: str) -> bool:
        raise PermissionError("ExpiredToken")

    disk = LocalFileSystem(auto_mkdir=True, skip_instance_cache=True)
    lease = Lease(attempt(1), Folder("s3://b/run", disk, str(tmp_path / "run"), "Secret s3"))
    lease.acquire()
    with monkeypatch.context() as renewal:
        renewal.setattr(disk, "exists", refuse)
        with pytest.raises(UserError):
            lease.check()
        lease.renew("running")
    assert "access was refused" in caplog.text
    lease.renew("running")
    assert lease.read() == lease.holder


def test_an_attempt_that_waits_for_its_address_still_renews_its_lease() -> None:
    """The name never resolves; the first renewal fails, because a newer attempt holds the lease."""
    lease = Lease(attempt(1))
    lease.acquire()
    Lease(attempt(2)).acquire()
    with pytest.raises(LeaseLost, match="attempt 2 of this run writes into it"):
        find_first_pod(attempt(1), lease)
