"""Storage that does not answer when a run starts: who retries, for how long, whose error it is."""

import errno
from collections.abc import Callable

import pytest

from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Unreachable
from pretrain_workloads.trainer.run_folder.preflight import PATIENCE_SECONDS, StorageCheck


class Clock:
    """Time that passes only in `sleep`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def make_check(clock: Clock, patience: float, blames_user: bool = False) -> StorageCheck:
    return StorageCheck(patience, blames_user, clock.sleep, clock)


def silent(clock: Clock, until: float = float("inf")) -> Callable[[], str]:
    """Return a call to storage that is answered once `until` seconds have passed."""
    began = clock()

    def operation() -> str:
        if clock() - began < until:
            raise Unreachable("s3://b: does not answer")
        return "found"

    return operation


def test_storage_that_answers_after_some_seconds_is_used() -> None:
    clock = Clock()
    check = make_check(clock, PATIENCE_SECONDS, blames_user=True)
    assert check.call("spec.checkpoint", silent(clock, until=7)) == "found"
    assert check.problems == []
    assert clock.now == 108


def test_storage_that_never_answers_the_first_attempt_is_an_error_of_the_user() -> None:
    clock = Clock()
    check = make_check(clock, PATIENCE_SECONDS, blames_user=True)
    with pytest.raises(UserError, match=r"^spec\.checkpoint: s3://b: does not answer; correct"):
        check.call("spec.checkpoint", silent(clock))
    assert clock.now == 100 + PATIENCE_SECONDS


def test_all_calls_together_are_retried_no_longer_than_one() -> None:
    clock = Clock()
    check = make_check(clock, PATIENCE_SECONDS, blames_user=True)
    check.call("spec.checkpoint", silent(clock, until=PATIENCE_SECONDS - 1))
    with pytest.raises(UserError):
        check.call("the token blocks", silent(clock))
    assert clock.now == 100 + PATIENCE_SECONDS


def test_other_pods_and_later_attempts_end_with_a_failure_of_infrastructure() -> None:
    clock = Clock()
    with pytest.raises(Unreachable):
        make_check(clock, 0).call("spec.checkpoint", silent(clock))
    assert clock.now == 100
    with pytest.raises(Unreachable):
        make_check(clock, 5).call("spec.checkpoint", silent(clock))
    assert clock.now == 105


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EBUSY])
def test_a_failing_disk_or_server_is_never_an_error_of_the_user(number: int) -> None:
    clock = Clock()

    def operation() -> None:
        raise OSError(number, "s3://b: Secret s3 says: SlowDown")

    with pytest.raises(OSError, match="SlowDown"):
        make_check(clock, PATIENCE_SECONDS, blames_user=True).call("spec.checkpoint", operation)
    assert clock.now == 100


def test_errors_of_the_user_are_raised_together_without_a_retry() -> None:
    clock = Clock()
    check = make_check(clock, PATIENCE_SECONDS, blames_user=True)

    def refused() -> None:
        raise UserError("access was refused")

    assert check.call("spec.checkpoint", refused) is None
    assert check.call("the token blocks", refused) is None
    with pytest.raises(UserError) as raised:
        check.raise_problems()
    assert str(raised.value) == (
        "spec.checkpoint: access was refused; the token blocks: access was refused"
    )
    assert clock.now == 100
