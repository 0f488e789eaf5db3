"""`OWNER.json` on a volume and on S3: taken, kept, lost and given back."""

import json
from pathlib import Path

import pytest

from integration.trainer.training_runs import make_run, on_s3
from pretrain_api.runs import TrainingRun
from pretrain_workloads.trainer.run_folder.finished import run_folder
from pretrain_workloads.trainer.run_folder.holder import BEAT_SECONDS, StillWritten, TakenOver
from pretrain_workloads.trainer.run_folder.lease import Claim, held
from s3 import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


class Clock:
    """Time that passes only while somebody sleeps; somebody else may act meanwhile."""

    def __init__(self, other: Claim | None = None) -> None:
        self.now, self.other = 0.0, other

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.other is not None and self.now % BEAT_SECONDS == 0:
            self.other.tell("running")


@pytest.fixture(params=["files", "s3"])
def place(
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
    place: str | None, uid: str, attempt: int = 1, namespace: str = "default"
) -> TrainingRun:
    run = make_run() if place is None else on_s3(make_run(), place)
    changes = {"uid": uid, "attempt": attempt, "namespace": namespace}
    return TrainingRun.model_validate({**run, **changes})


def test_a_newer_attempt_takes_over_and_the_older_one_notices(place: str | None) -> None:
    old, new = Claim(run_of(place, "u1", 1)), Claim(run_of(place, "u1", 2))
    old.take()
    old.check()
    new.take()
    with pytest.raises(TakenOver, match=r"/pretrainjob-run/f{12}: attempt 2 of this run"):
        old.check()
    with pytest.raises(TakenOver):
        old.tell("running")
    new.check()
    assert new.read() == new.mine


@pytest.mark.parametrize(
    ("namespace", "error", "want"),
    [
        ("other", TakenOver, r"f{12}: PretrainJob default/run \(attempt 1, uid u1\)"),
        ("default", StillWritten, r"f{12}: an earlier PretrainJob of this name \(uid u1\)"),
    ],
)
def test_another_run_that_lives_is_not_pushed_out(
    place: str | None,
    namespace: str,
    error: type[Exception],
    want: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = Claim(run_of(place, "u1")), Claim(run_of(place, "u2", namespace=namespace))
    first.take()
    clock = Clock(other=first)
    with pytest.raises(error, match=want):
        second.take(clock.sleep, clock)
    assert clock.now == 2 * BEAT_SECONDS
    assert caplog.text.count("waits for PretrainJob default/run (attempt 1, uid u1)") == 1
    first.check()


def test_another_run_that_was_killed_is_replaced_after_a_minute(place: str | None) -> None:
    first, second = Claim(run_of(place, "u1")), Claim(run_of(place, "u2"))
    first.take()
    clock = Clock()
    second.take(clock.sleep, clock)
    assert clock.now == 60
    with pytest.raises(TakenOver, match=r"default/run \(attempt 1, uid u2\) has taken it over"):
        first.check()


def test_a_run_that_has_ended_is_replaced_at_once(place: str | None) -> None:
    with held(run_of(place, "u1")) as first:
        first.keep("ending")
    clock = Clock()
    Claim(run_of(place, "u2")).take(clock.sleep, clock)
    assert clock.now == 0


def test_a_file_that_is_gone_or_broken_is_written_again(place: str | None) -> None:
    claim = Claim(run_of(place, "u1"))
    folder = run_folder(run_of(place, "u1"))
    claim.take()
    folder.delete("OWNER.json")
    claim.tell("running")
    assert claim.read() == claim.mine
    folder.write_bytes("OWNER.json", b"{")
    claim.tell("running")
    assert json.loads(folder.read_bytes("OWNER.json"))["uid"] == "u1"


def test_storage_that_refuses_for_a_moment_ends_no_run(
    place: str | None, s3_server: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    claim = Claim(run_of(place, "u1"))
    claim.take()
    store = tmp_path / "checkpoints" if place is None else s3_server.folder / place
    away = store.with_name(f"{store.name}-away")
    store.rename(away)
    if place is None:
        store.touch()  # a folder cannot be made there
    claim.tell("running")
    assert "OWNER.json" in caplog.text
    if place is None:
        store.unlink()
    away.rename(store)
    claim.tell("running")
    assert claim.read() == claim.mine
