import pytest

from pretrain_api.conditions import Reason
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.requeue import state_seconds


@pytest.mark.parametrize(
    ("phase", "reason", "want"),
    [
        (Phase.WAITING, Reason.SECRET_NOT_FOUND, 5),
        (Phase.BLOCKED, Reason.CHILD_REJECTED, 30),
        (Phase.BLOCKED, Reason.NAME_TAKEN, 30),
        (Phase.RUNNING, Reason.NAME_TAKEN, 5),
        (Phase.RUNNING, Reason.STAGE_RUNNING, None),
        (Phase.WAITING, Reason.DEPENDENCY_NOT_FOUND, None),
    ],
)
def test_only_states_whose_end_no_watch_reports_are_requeued(
    phase: Phase, reason: Reason, want: float | None
) -> None:
    assert state_seconds(State(phase, reason)) == want
