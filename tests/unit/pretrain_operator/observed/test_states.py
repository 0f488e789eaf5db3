import pytest

from pretrain_api.conditions import Reason
from pretrain_operator.observed.states import Phase, State


@pytest.mark.parametrize(
    ("phase", "reason", "want"),
    [
        (Phase.WAITING, Reason.SECRET_NOT_FOUND, 5),
        (Phase.BLOCKED, Reason.CHILD_REJECTED, 30),
        (Phase.RUNNING, Reason.STAGE_RUNNING, None),
        (Phase.WAITING, Reason.DEPENDENCY_NOT_FOUND, None),
    ],
)
def test_only_what_nothing_tells_of_is_looked_at_again(
    phase: Phase, reason: Reason, want: float | None
) -> None:
    assert State(phase, reason).look_again_seconds == want
