import pytest

from builders import NOW, at
from pretrain_api.conditions import ConditionType, Reason
from pretrain_operator.observed.states import Phase, State, last_end, last_failure
from pretrain_operator.status.conditions import (
    Statement,
    build_conditions,
    state_conditions,
)


def state(phase: Phase, reason: Reason = Reason.STAGE_RUNNING) -> State:
    return State(phase, reason, "because")


@pytest.mark.parametrize(
    ("current", "want"),
    [
        (state(Phase.INVALID, Reason.INVALID_SPEC), {"Stalled"}),
        (state(Phase.WAITING), {"Reconciling", "Accepted"}),
        (state(Phase.WAITING, Reason.DEPENDENCY_FAILED), {"Stalled", "Accepted"}),
        (state(Phase.RUNNING), {"Reconciling", "Accepted", "DataReady"}),
        (state(Phase.RESTARTING), {"Reconciling", "Accepted", "DataReady"}),
        (state(Phase.BLOCKED), {"Stalled", "Accepted", "DataReady"}),
        (state(Phase.SUSPENDED), {"Accepted", "DataReady"}),
        (state(Phase.COMPLETE), {"Ready", "Accepted", "DataReady", "Complete"}),
        (state(Phase.FAILED), {"Stalled", "Accepted", "DataReady", "Failed"}),
    ],
)
def test_each_phase_has_its_conditions(current: State, want: set[str]) -> None:
    statements = state_conditions(current)
    assert {kind.value for kind, item in statements.items() if item.status == "True"} == want


@pytest.mark.parametrize("phase", list(Phase))
def test_conditions_are_always_the_complete_set_with_the_generation(phase: Phase) -> None:
    conditions = build_conditions(state_conditions(state(phase)), [], 7, NOW)
    assert {condition.type for condition in conditions} == {
        "Ready",
        "Reconciling",
        "Stalled",
        "Accepted",
        "DataReady",
        "Complete",
        "Failed",
    }
    assert {condition.observed_generation for condition in conditions} == {7}


def test_the_time_of_a_condition_changes_only_with_its_status() -> None:
    first = build_conditions({ConditionType.READY: Statement("False", Reason.VALID)}, [], 1, NOW)
    same = {ConditionType.READY: Statement("False", Reason.INVALID_SPEC, "new words")}
    later = build_conditions(same, first, 2, at(60))
    assert later[0].last_transition_time == first[0].last_transition_time
    assert (later[0].message, later[0].observed_generation) == ("new words", 2)
    other = {ConditionType.READY: Statement("True", Reason.VALID)}
    assert build_conditions(other, later, 2, at(90))[0].last_transition_time == (
        "2026-01-02T03:05:35Z"
    )


def test_a_final_state_is_read_back_from_its_condition() -> None:
    failed = State(Phase.FAILED, Reason.BAD_DATA, "a.gz is cut")
    conditions = build_conditions(state_conditions(failed), [], 1, NOW)
    assert last_failure(conditions) == failed
    assert last_end(conditions) == failed
    complete = State(Phase.COMPLETE, Reason.COMPLETE, "done")
    conditions = build_conditions(state_conditions(complete), [], 1, NOW)
    assert last_failure(conditions) is None
    assert last_end(conditions) == complete


def test_a_long_message_is_truncated() -> None:
    long = Statement("True", Reason.VALID, "x" * 100_000)
    (condition,) = build_conditions({ConditionType.READY: long}, [], 1, NOW)
    assert len(condition.message) == 8192
