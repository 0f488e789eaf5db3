"""Which attempt may acquire the lease of a run's folder, and which has lost it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.reports import ExitClass
from pretrain_workloads.exit_report import classify
from pretrain_workloads.trainer.run_folder.holder import (
    EXPIRY_SECONDS,
    LIVE_RENEWALS,
    PATIENCE_SECONDS,
    HeldByPredecessor,
    Holder,
    HolderPhase,
    HolderWatch,
    LeaseLost,
    check_holder,
    may_acquire,
)

AT = "2026-01-01T00:00:00.000+00:00"


def make_holder(
    uid: str = "u1", attempt: int = 1, phase: HolderPhase = "running", namespace: str = "research"
) -> Holder:
    return Holder(
        namespace=namespace,
        name="llama",
        uid=uid,
        attempt=attempt,
        since=AT,
        seen_at=AT,
        phase=phase,
    )


holders = st.builds(
    make_holder,
    uid=st.sampled_from(["", "u1", "u2"]),
    attempt=st.integers(1, 4),
    phase=st.sampled_from(["running", "ending", "ended"]),
    namespace=st.sampled_from(["research", "other"]),
)
watches = st.builds(
    HolderWatch,
    seconds=st.floats(0, 2 * PATIENCE_SECONDS),
    unrenewed_seconds=st.floats(0, 2 * EXPIRY_SECONDS),
    renewals=st.integers(0, 4),
)


@pytest.mark.parametrize(
    "current",
    [
        pytest.param(None, id="there is no holder"),
        pytest.param(make_holder("u2", 9, "ended"), id="another run has ended"),
        pytest.param(make_holder(attempt=1), id="an older attempt is alive"),
        pytest.param(make_holder(attempt=2), id="the same attempt starts again"),
    ],
)
def test_a_lease_is_acquired_without_waiting_when(current: Holder | None) -> None:
    assert may_acquire(make_holder(attempt=2), current, HolderWatch())


def test_an_older_attempt_never_takes_the_lease_of_a_newer_one() -> None:
    with pytest.raises(LeaseLost, match=r"attempt 3 of this run writes into it.*attempt 2 is an"):
        may_acquire(make_holder(attempt=2), make_holder(attempt=3), HolderWatch(1e6, 1e6))


@pytest.mark.parametrize("phase", ["running", "ending"])
def test_another_run_is_waited_for_until_its_lease_expires(phase: HolderPhase) -> None:
    other = make_holder("u2", phase=phase)
    assert not may_acquire(
        make_holder(), other, HolderWatch(EXPIRY_SECONDS - 1, EXPIRY_SECONDS - 1)
    )
    assert may_acquire(make_holder(), other, HolderWatch(EXPIRY_SECONDS, EXPIRY_SECONDS))


def test_another_run_that_is_alive_is_named_with_the_remedies() -> None:
    other = make_holder("u2", 4, namespace="production")
    want = (
        r"^PretrainJob production/llama \(attempt 4, uid u2\) writes into it and is alive "
        r".*suspend or delete it, or set another spec\.checkpoint\.uri and "
        r"spec\.export\.huggingFace\.uri here$"
    )
    with pytest.raises(LeaseLost, match=want):
        may_acquire(make_holder(), other, HolderWatch(31, 1, LIVE_RENEWALS))


@pytest.mark.parametrize(
    "watch",
    [
        pytest.param(HolderWatch(31, 1, LIVE_RENEWALS), id="it trains"),
        pytest.param(HolderWatch(PATIENCE_SECONDS, 1), id="it takes too long to end"),
    ],
)
def test_an_earlier_object_of_the_same_name_is_not_the_users_error(
    watch: HolderWatch,
) -> None:
    want = r"^an earlier PretrainJob of this name \(uid u2\) still writes there .*stop that node"
    with pytest.raises(HeldByPredecessor, match=want) as raised:
        may_acquire(make_holder(), make_holder("u2", 4), watch)
    assert classify(raised.value) is ExitClass.INFRASTRUCTURE


def test_one_renewal_does_not_prove_that_a_run_is_alive() -> None:
    assert not may_acquire(make_holder(), make_holder("u2"), HolderWatch(16, 1, LIVE_RENEWALS - 1))


@given(own=holders, current=st.none() | holders, watch=watches)
def test_no_lease_has_two_holders(own: Holder, current: Holder | None, watch: HolderWatch) -> None:
    """The previous holder notices its loss, and the new holder does not yield to it."""
    try:
        acquired = may_acquire(own, current, watch)
    except (LeaseLost, HeldByPredecessor):
        return
    check_holder(own, own)
    if not acquired or current is None or current.phase == "ended":
        return
    if current.is_same_run(own) and current.attempt == own.attempt:
        return
    with pytest.raises(LeaseLost):
        check_holder(current, own)


@given(own=holders, current=holders, unrenewed=st.floats(0, 1e4), renewals=st.integers(0, 9))
def test_waiting_ends(own: Holder, current: Holder, unrenewed: float, renewals: int) -> None:
    try:
        acquired = may_acquire(own, current, HolderWatch(PATIENCE_SECONDS, unrenewed, renewals))
    except (LeaseLost, HeldByPredecessor):
        return
    assert acquired


@given(own=holders, current=holders)
def test_runs_are_compared_by_uid_and_without_one_by_name(own: Holder, current: Holder) -> None:
    assert own.is_same_run(current) == current.is_same_run(own)
    if own.uid and current.uid:
        assert own.is_same_run(current) == (own.uid == current.uid)
    else:
        assert own.is_same_run(current) == (own.namespace == current.namespace)
