"""The lease (`OWNER.json`) on a volume and on S3: acquired, renewed, lost and released."""

import json
from pathlib import Path

import pytest

from integration.trainer.training_runs import make_run, on_s3
from pretrain_api.runs import TrainingRun
from pretrain_workloads.trainer.run_folder.folders import run_folder
from pretrain_workloads.trainer.run_folder.holder import RENEW_SECONDS, HeldByPredecessor, LeaseLost
from pretrain_workloads.trainer.run_folder.lease import Lease, hold_lease
from s3 import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


class LeaseClock:
    """Time that passes only in `sleep`, while which another attempt may renew its lease."""

    def __init__(self, other: Lease | None = None) -> None:
        self.now, self.other = 0.0, other

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.other is not None and self.now % RENEW_SECONDS == 0:
            self.other.renew("running")


@pytest.fixture(params=["files", "s3"])
def bucket(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str | None:
    """Give the bucket, or `None` for a volume."""
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    if request.param == "files":
        return None
    server: S3Server = request.getfixturevalue("s3_server")
    folder = tmp_path / "secrets/store"
    folder.mkdir(parents=True)
    for key, value in server.secret.items():
        (folder / key).write_text(value)
    bucket = tmp_path.name.replace("_", "-")
    (server.folder / bucket).mkdir()
    return bucket


def run_of(
    bucket: str | None, uid: str, attempt: int = 1, namespace: str = "default"
) -> TrainingRun:
    run = make_run() if bucket is None else on_s3(make_run(), bucket)
    changes = {"uid": uid, "attempt": attempt, "namespace": namespace}
    return TrainingRun.model_validate({**run, **changes})


def test_a_newer_attempt_takes_over_and_the_older_one_notices(bucket: str | None) -> None:
    old, new = Lease(run_of(bucket, "u1", 1)), Lease(run_of(bucket, "u1", 2))
    old.acquire()
    old.check()
    new.acquire()
    with pytest.raises(LeaseLost, match=r"/pretrainjob-run/f{12}: attempt 2 of this run"):
        old.check()
    with pytest.raises(LeaseLost):
        old.renew("running")
    new.check()
    assert new.read() == new.holder


@pytest.mark.parametrize(
    ("namespace", "error", "want"),
    [
        ("other", LeaseLost, r"f{12}: PretrainJob default/run \(attempt 1, uid u1\)"),
        ("default", HeldByPredecessor, r"f{12}: an earlier PretrainJob of this name \(uid u1\)"),
    ],
)
def test_the_lease_of_another_run_that_is_alive_is_not_taken(
    bucket: str | None,
    namespace: str,
    error: type[Exception],
    want: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = Lease(run_of(bucket, "u1")), Lease(run_of(bucket, "u2", namespace=namespace))
    first.acquire()
    clock = LeaseClock(other=first)
    with pytest.raises(error, match=want):
        second.acquire(clock.sleep, clock)
    assert clock.now == 2 * RENEW_SECONDS
    assert caplog.text.count("waits for PretrainJob default/run (attempt 1, uid u1)") == 1
    first.check()


def test_another_run_that_was_killed_is_replaced_after_a_minute(bucket: str | None) -> None:
    first, second = Lease(run_of(bucket, "u1")), Lease(run_of(bucket, "u2"))
    first.acquire()
    clock = LeaseClock()
    second.acquire(clock.sleep, clock)
    assert clock.now == 60
    with pytest.raises(LeaseLost, match=r"default/run \(attempt 1, uid u2\) has taken it over"):
        first.check()


def test_a_run_that_has_ended_is_replaced_at_once(bucket: str | None) -> None:
    with hold_lease(run_of(bucket, "u1")) as first:
        first.renew_if_due("ending")
    clock = LeaseClock()
    Lease(run_of(bucket, "u2")).acquire(clock.sleep, clock)
    assert clock.now == 0


def test_a_file_that_is_gone_or_broken_is_written_again(bucket: str | None) -> None:
    lease = Lease(run_of(bucket, "u1"))
    folder = run_folder(run_of(bucket, "u1"))
    lease.acquire()
    folder.delete("OWNER.json")
    lease.renew("running")
    assert lease.read() == lease.holder
    folder.write_bytes("OWNER.json", b"{")
    lease.renew("running")
    assert json.loads(folder.read_bytes("OWNER.json"))["uid"] == "u1"


def test_storage_that_refuses_for_a_moment_ends_no_run(
    bucket: str | None, s3_server: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lease = Lease(run_of(bucket, "u1"))
    lease.acquire()
    store = tmp_path / "checkpoints" if bucket is None else s3_server.folder / bucket
    away = store.with_name(f"{store.name}-away")
    store.rename(away)
    if bucket is None:
        store.touch()  # a folder cannot be made there
    lease.renew("running")
    assert "OWNER.json" in caplog.text
    if bucket is None:
        store.unlink()
    away.rename(store)
    lease.renew("running")
    assert lease.read() == lease.holder
