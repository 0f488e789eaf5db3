"""Where a run goes on after a spike, and which checkpoints are from before."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.v1alpha1.progress import Rollback
from pretrain_workloads.failures import BadData
from pretrain_workloads.storage import open_uri
from pretrain_workloads.trainer.rollback.record import (
    ROLLBACKS,
    SAFE_STEPS,
    choose_checkpoint,
    is_undone,
    read_rollbacks,
    write_rollbacks,
)


def rollback(resume_step: int) -> Rollback:
    return Rollback(
        cause="lossSpike",
        attempt=1,
        step=100,
        block=3,
        resume_step=resume_step,
        first_sample=800,
        samples=40,
        at="2026-01-01T00:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("saved", "step", "resume"),
    [
        ([], 40, 0),
        ([10, 20, 30], 40, 20),
        ([24], 40, 24),
        ([30, 39], 40, 30),
        ([1000, 2000, 3000], 3003, 2000),
    ],
)
def test_the_newest_checkpoint_that_is_old_enough_is_gone_on_from(
    saved: list[int], step: int, resume: int
) -> None:
    assert choose_checkpoint(saved, step) == resume


@given(saved=st.lists(st.integers(1, 500), unique=True), step=st.integers(500, 1000))
def test_a_run_with_a_checkpoint_never_starts_from_nothing(saved: list[int], step: int) -> None:
    resume = choose_checkpoint(saved, step)
    assert resume in saved or not saved
    trusted = [one for one in saved if one <= step - SAFE_STEPS]
    assert resume == max(trusted) if trusted else resume == min(saved, default=0)


def test_checkpoints_between_a_rollback_and_its_spike_are_undone_and_later_ones_are_not() -> None:
    rollbacks = [rollback(20), rollback(40)]
    assert not is_undone(20, 0, rollbacks[:1])
    assert is_undone(30, 0, rollbacks[:1])
    assert not is_undone(30, 1, rollbacks[:1]), "saved again since"
    assert not is_undone(30, 1, rollbacks), "the second goes back to 40 only"
    assert is_undone(50, 1, rollbacks)
    assert not is_undone(50, 2, rollbacks)


def test_rollbacks_are_read_as_they_were_written_and_a_broken_list_is_refused(
    tmp_path: Path,
) -> None:
    folder = open_uri(f"file://{tmp_path}")
    assert read_rollbacks(folder) == []
    write_rollbacks(folder, [rollback(20), rollback(40)])
    assert read_rollbacks(folder) == [rollback(20), rollback(40)]
    for text in ("{", '{"a": 1}', '[{"cause": "lossSpike"}]', "3"):
        (tmp_path / ROLLBACKS).write_text(text)
        with pytest.raises(BadData, match=r"rollbacks.json: is no list of rollbacks"):
            read_rollbacks(folder)
