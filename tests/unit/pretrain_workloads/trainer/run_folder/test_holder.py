"""Who may write into a run's folder: the pure decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.reports import ExitClass
from pretrain_workloads.exit import classify
from pretrain_workloads.trainer.run_folder.holder import (
    LIVE_BEATS,
    PATIENCE_SECONDS,
    SILENT_SECONDS,
    Owner,
    Phase,
    StillWritten,
    TakenOver,
    Watched,
    check_owner,
    may_take,
)

AT = "2026-01-01T00:00:00.000+00:00"


def make_owner(
    uid: str = "u1", attempt: int = 1, phase: Phase = "running", namespace: str = "research"
) -> Owner:
    return Owner(
        namespace=namespace,
        name="llama",
        uid=uid,
        attempt=attempt,
        since=AT,
        seen_at=AT,
        phase=phase,
    )


owners = st.builds(
    make_owner,
    uid=st.sampled_from(["", "u1", "u2"]),
    attempt=st.integers(1, 4),
    phase=st.sampled_from(["running", "ending", "ended"]),
    namespace=st.sampled_from(["research", "other"]),
)
watches = st.builds(
    Watched,
    seconds=st.floats(0, 2 * PATIENCE_SECONDS),
    silent_seconds=st.floats(0, 2 * SILENT_SECONDS),
    beats=st.integers(0, 4),
)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(None, id="nobody was there"),
        pytest.param(make_owner("u2", 9, "ended"), id="another run has ended"),
        pytest.param(make_owner(attempt=1), id="an older attempt lives"),
        pytest.param(make_owner(attempt=2), id="the same attempt starts again"),
    ],
)
def test_a_folder_is_taken_at_once_when(found: Owner | None) -> None:
    assert may_take(make_owner(attempt=2), found, Watched())


def test_a_newer_attempt_is_never_pushed_out_by_an_older_one() -> None:
    with pytest.raises(TakenOver, match=r"attempt 3 of this run writes into it.*attempt 2 is an"):
        may_take(make_owner(attempt=2), make_owner(attempt=3), Watched(1e6, 1e6))


@pytest.mark.parametrize("phase", ["running", "ending"])
def test_another_run_is_waited_for_until_it_was_silent_for_long(phase: Phase) -> None:
    other = make_owner("u2", phase=phase)
    assert not may_take(make_owner(), other, Watched(SILENT_SECONDS - 1, SILENT_SECONDS - 1))
    assert may_take(make_owner(), other, Watched(SILENT_SECONDS, SILENT_SECONDS))


def test_another_run_that_lives_is_named_with_what_would_do() -> None:
    other = make_owner("u2", 4, namespace="production")
    want = (
        r"^PretrainJob production/llama \(attempt 4, uid u2\) writes into it and lives "
        r".*suspend or delete it, or set another spec\.checkpoint\.uri and "
        r"spec\.export\.huggingFace\.uri here$"
    )
    with pytest.raises(TakenOver, match=want):
        may_take(make_owner(), other, Watched(31, 1, LIVE_BEATS))


@pytest.mark.parametrize(
    "watched",
    [
        pytest.param(Watched(31, 1, LIVE_BEATS), id="it trains"),
        pytest.param(Watched(PATIENCE_SECONDS, 1), id="it takes too long to end"),
    ],
)
def test_an_earlier_object_of_the_same_name_that_lives_is_no_fault_of_the_users(
    watched: Watched,
) -> None:
    want = r"^an earlier PretrainJob of this name \(uid u2\) still writes there .*stop that node"
    with pytest.raises(StillWritten, match=want) as raised:
        may_take(make_owner(), make_owner("u2", 4), watched)
    assert classify(raised.value) is ExitClass.INFRASTRUCTURE


def test_the_first_sign_of_life_of_a_run_may_be_its_last() -> None:
    assert not may_take(make_owner(), make_owner("u2"), Watched(16, 1, LIVE_BEATS - 1))


@given(mine=owners, found=st.none() | owners, watched=watches)
def test_no_folder_has_two_owners_that_both_think_it_theirs(
    mine: Owner, found: Owner | None, watched: Watched
) -> None:
    """Whoever is pushed out notices, and whoever pushes does not give way to the one pushed out."""
    try:
        taken = may_take(mine, found, watched)
    except (TakenOver, StillWritten):
        return
    check_owner(mine, mine)
    if not taken or found is None or found.phase == "ended":
        return
    if found.is_same_run(mine) and found.attempt == mine.attempt:
        return
    with pytest.raises(TakenOver):
        check_owner(found, mine)


@given(mine=owners, found=owners, silent=st.floats(0, 1e4), beats=st.integers(0, 9))
def test_waiting_ends(mine: Owner, found: Owner, silent: float, beats: int) -> None:
    try:
        taken = may_take(mine, found, Watched(PATIENCE_SECONDS, silent, beats))
    except (TakenOver, StillWritten):
        return
    assert taken


@given(mine=owners, found=owners)
def test_a_run_is_told_apart_by_its_uid_and_without_one_by_its_name(
    mine: Owner, found: Owner
) -> None:
    assert mine.is_same_run(found) == found.is_same_run(mine)
    if mine.uid and found.uid:
        assert mine.is_same_run(found) == (mine.uid == found.uid)
    else:
        assert mine.is_same_run(found) == (mine.namespace == found.namespace)
