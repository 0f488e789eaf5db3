"""The signs of life of an attempt: what ends it, what does not, and while what they are given."""

from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from integration.trainer.training_runs import make_run
from pretrain_api import paths
from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder
from pretrain_workloads.trainer.launcher import find_first_pod
from pretrain_workloads.trainer.run_folder.holder import TakenOver
from pretrain_workloads.trainer.run_folder.lease import Claim


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    monkeypatch.delenv(paths.HOSTS_VARIABLE, raising=False)


def attempt(number: int) -> TrainingRun:
    return TrainingRun.model_validate(
        {**make_run(), "uid": "u1", "attempt": number, "rendezvousHost": "pod-0.invalid"}
    )


def test_a_key_that_is_refused_for_a_moment_does_not_end_a_run_that_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: str) -> bool:
        raise PermissionError("ExpiredToken")

    disk = LocalFileSystem(auto_mkdir=True, skip_instance_cache=True)
    claim = Claim(attempt(1), Folder("s3://b/run", disk, str(tmp_path / "run"), "Secret s3"))
    claim.take()
    with monkeypatch.context() as renewal:
        renewal.setattr(disk, "exists", refuse)
        with pytest.raises(UserError):
            claim.check()
        claim.tell("running")
    assert "access was refused" in caplog.text
    claim.tell("running")
    assert claim.read() == claim.mine


def test_an_attempt_that_waits_for_its_own_address_still_looks_after_its_folder() -> None:
    """A host that is never found: it ends at the first pause, because a newer attempt came."""
    claim = Claim(attempt(1))
    claim.take()
    Claim(attempt(2)).take()
    with pytest.raises(TakenOver, match="attempt 2 of this run writes into it"):
        find_first_pod(attempt(1), claim)
