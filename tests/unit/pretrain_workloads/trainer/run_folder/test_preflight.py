"""Storage that does not answer when a run begins: who asks again, for how long, whose fault."""

import errno
from collections.abc import Callable

import pytest

from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Unreachable
from pretrain_workloads.trainer.run_folder.preflight import PATIENCE_SECONDS, Trial


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def make_trial(clock: Clock, patience: float, is_last_word: bool = False) -> Trial:
    return Trial(patience, is_last_word, clock.sleep, clock)


def silent(clock: Clock, until: float = float("inf")) -> Callable[[], str]:
    """Return a question to storage that answers once `until` seconds have passed."""
    began = clock()

    def question() -> str:
        if clock() - began < until:
            raise Unreachable("s3://b: does not answer")
        return "found"

    return question


def test_storage_that_answers_after_some_seconds_is_used() -> None:
    clock = Clock()
    trial = make_trial(clock, PATIENCE_SECONDS, is_last_word=True)
    assert trial.ask("spec.checkpoint", silent(clock, until=7)) == "found"
    assert trial.problems == []
    assert clock.now == 108


def test_storage_that_never_answers_the_first_attempt_is_the_users_to_mend() -> None:
    clock = Clock()
    trial = make_trial(clock, PATIENCE_SECONDS, is_last_word=True)
    with pytest.raises(UserError, match=r"^spec\.checkpoint: s3://b: does not answer; correct"):
        trial.ask("spec.checkpoint", silent(clock))
    assert clock.now == 100 + PATIENCE_SECONDS


def test_all_questions_together_are_asked_no_longer_than_one() -> None:
    clock = Clock()
    trial = make_trial(clock, PATIENCE_SECONDS, is_last_word=True)
    trial.ask("spec.checkpoint", silent(clock, until=PATIENCE_SECONDS - 1))
    with pytest.raises(UserError):
        trial.ask("the token blocks", silent(clock))
    assert clock.now == 100 + PATIENCE_SECONDS


def test_other_pods_and_later_attempts_end_as_time_will_heal() -> None:
    clock = Clock()
    with pytest.raises(Unreachable):
        make_trial(clock, 0).ask("spec.checkpoint", silent(clock))
    assert clock.now == 100
    with pytest.raises(Unreachable):
        make_trial(clock, 5).ask("spec.checkpoint", silent(clock))
    assert clock.now == 105


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EBUSY])
def test_a_disk_or_a_server_in_need_is_never_the_users_fault(number: int) -> None:
    clock = Clock()

    def question() -> None:
        raise OSError(number, "s3://b: Secret s3 says: SlowDown")

    with pytest.raises(OSError, match="SlowDown"):
        make_trial(clock, PATIENCE_SECONDS, is_last_word=True).ask("spec.checkpoint", question)
    assert clock.now == 100


def test_what_the_user_must_mend_is_told_at_once_and_together() -> None:
    clock = Clock()
    trial = make_trial(clock, PATIENCE_SECONDS, is_last_word=True)

    def refused() -> None:
        raise UserError("access was refused")

    assert trial.ask("spec.checkpoint", refused) is None
    assert trial.ask("the token blocks", refused) is None
    with pytest.raises(UserError) as raised:
        trial.conclude()
    assert str(raised.value) == (
        "spec.checkpoint: access was refused; the token blocks: access was refused"
    )
    assert clock.now == 100
