from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, make_object
from pretrain_api.conditions import Reason
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.computeprofile import ComputeProfileStatus
from pretrain_api.v1alpha1.data_status import DataStatus, StageStatus
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, PretrainJobStatus
from pretrain_api.v1alpha1.progress import CheckpointStatus, Progress
from pretrain_operator.build.event import EventRecord, build_event
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.plans import Plan, RunPlan
from pretrain_operator.status.computeprofile import computeprofile_status
from pretrain_operator.status.conditions import build_conditions, state_conditions
from pretrain_operator.status.events import status_events
from pretrain_operator.status.pretrainjob import pretrainjob_status

ACCEPTED = EventRecord("Accepted", "the spec is valid")


def status_of(
    phase: Phase, reason: Reason, message: str = "why", generation: int = 1
) -> DataStatus:
    state = State(phase, reason, message)
    conditions = build_conditions(state_conditions(state), [], generation, NOW)
    return DataStatus(conditions=conditions)


def run(*attempts: AttemptStatus) -> PretrainJobStatus:
    return PretrainJobStatus(attempts=list(attempts))


RUNNING = status_of(Phase.RUNNING, Reason.STAGE_RUNNING)


@pytest.mark.parametrize(
    ("before", "after", "want"),
    [
        pytest.param(DataStatus(), RUNNING, [ACCEPTED], id="accepted"),
        pytest.param(RUNNING, RUNNING, [], id="no change"),
        pytest.param(
            RUNNING,
            status_of(Phase.RUNNING, Reason.STAGE_RUNNING, "more"),
            [],
            id="another message",
        ),
        pytest.param(
            DataStatus(),
            status_of(Phase.INVALID, Reason.INVALID_SPEC),
            [EventRecord("InvalidSpec", "why", True)],
            id="refused",
        ),
        pytest.param(
            status_of(Phase.INVALID, Reason.INVALID_SPEC),
            status_of(Phase.INVALID, Reason.INVALID_SPEC, "still", generation=2),
            [EventRecord("InvalidSpec", "still", True)],
            id="edited, and refused again",
        ),
        pytest.param(
            RUNNING,
            status_of(Phase.WAITING, Reason.SECRET_NOT_FOUND),
            [EventRecord("SecretNotFound", "why")],
            id="waits for a Secret",
        ),
        pytest.param(
            RUNNING,
            status_of(Phase.RUNNING, Reason.WAITING_FOR_PODS),
            [EventRecord("WaitingForPods", "why", True)],
            id="waits for pods",
        ),
        pytest.param(
            RUNNING,
            status_of(Phase.BLOCKED, Reason.NAME_TAKEN),
            [EventRecord("NameTaken", "why", True)],
            id="blocked",
        ),
        pytest.param(
            RUNNING,
            status_of(Phase.FAILED, Reason.BAD_DATA),
            [EventRecord("BadData", "why", True)],
            id="failed, with one event",
        ),
        pytest.param(
            RUNNING,
            status_of(Phase.COMPLETE, Reason.COMPLETE),
            [EventRecord("Complete", "why")],
            id="complete",
        ),
    ],
)
def test_a_condition_that_changes_has_one_event(
    before: DataStatus, after: DataStatus, want: list[EventRecord]
) -> None:
    assert list(status_events(before, after)) == want


def test_a_stage_has_an_event_when_all_its_tasks_are_done() -> None:
    fields: dict[str, Any] = {"name": "prepare", "job": "x-prepare", "tasks": 2, "seconds": 61.4}
    half = DataStatus(stages=[StageStatus(**fields, succeeded=1)])
    done = DataStatus(stages=[StageStatus(**fields, succeeded=2, finished_at="2026-01-01")])
    assert status_events(DataStatus(), half) == ()
    assert status_events(half, done) == (
        EventRecord("StageFinished", "stage prepare is done: 2 tasks, 61 s of work"),
    )
    assert status_events(done, done) == ()


def test_a_restart_has_an_event_with_its_cause() -> None:
    first = AttemptStatus(number=1, job="run-a1")
    ended = first.model_copy(update={"reason": "infrastructure", "message": "the node is lost"})
    second = AttemptStatus(number=2, job="run-a2")
    assert status_events(run(), run(first)) == (
        EventRecord("AttemptStarted", "attempt 1 is Job run-a1"),
    )
    assert status_events(run(first), run(ended, second)) == (
        EventRecord("AttemptEnded", "attempt 1 ended (infrastructure): the node is lost", True),
        EventRecord("AttemptStarted", "attempt 2 is Job run-a2"),
    )
    assert status_events(run(ended, second), run(ended, second)) == ()


def test_a_suspended_run_has_an_event() -> None:
    suspended = RunPlan(State(Phase.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true"))
    observed = Observation(make_object("PretrainJob", "run"))
    status = pretrainjob_status(observed, suspended, NOW)
    assert status_events(run(), status) == (
        ACCEPTED,
        EventRecord("Suspended", "spec.suspend is true"),
    )


def test_a_damaged_checkpoint_has_one_event_that_names_it_and_what_is_left() -> None:
    observed = Observation(make_object("PretrainJob", "run"))
    plan = RunPlan(state=State(Phase.RUNNING, Reason.ATTEMPT_RUNNING, "attempt 2 runs"))
    saved = CheckpointStatus(step=8, uri="s3://c/8", at="now")
    progress = Progress(checkpoint=saved, unsound_checkpoints=[10, 12])
    before = pretrainjob_status(replace(observed, progress=Progress(checkpoint=saved)), plan, NOW)
    after = pretrainjob_status(replace(observed, progress=progress), plan, NOW)
    message = "damaged and set aside: those of step 10, 12; the newest sound one is of step 8"
    event = EventRecord("CheckpointUnsound", message, is_warning=True)
    assert status_events(before, after) == (event,)
    assert status_events(after, after) == ()


@pytest.mark.parametrize("reason", ["suspended", "replaced"])
def test_an_end_that_is_no_failure_is_no_warning(reason: str) -> None:
    first = AttemptStatus(number=1, job="run-a1")
    (record,) = status_events(run(first), run(first.model_copy(update={"reason": reason})))
    assert not record.is_warning


def test_the_end_of_a_complete_attempt_is_told_by_the_run_alone() -> None:
    first = AttemptStatus(number=1, job="run-a1")
    complete = first.model_copy(update={"reason": ExitClass.COMPLETE.value})
    assert status_events(run(first), run(complete)) == ()


def test_a_profile_is_accepted_or_refused() -> None:
    states = (
        State(Phase.COMPLETE, Reason.VALID),
        State(Phase.INVALID, Reason.INVALID_SPEC, "wrong"),
    )
    observed = Observation(make_object("ComputeProfile"))
    good, bad = (computeprofile_status(observed, Plan(state), NOW) for state in states)
    assert status_events(ComputeProfileStatus(), good) == (ACCEPTED,)
    assert status_events(good, bad) == (EventRecord("InvalidSpec", "wrong", True),)


def test_a_record_has_the_same_event_name_for_the_same_version_of_its_object() -> None:
    owner = make_object("PretrainJob", "run")
    later = replace(owner, resource_version="2")
    record, other = EventRecord("Complete", "done"), EventRecord("Complete", "done again")
    names = [
        build_event(item, event, NOW, "host")["metadata"]["name"]
        for item, event in ((owner, record), (owner, record), (owner, other), (later, record))
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_a_long_message_is_truncated_to_the_limit_of_the_api_server() -> None:
    note = build_event(make_object("PretrainJob"), EventRecord("R", "ü" * 2000), NOW, "h")["note"]
    assert len(note.encode()) <= 1024
    assert note.endswith("ü…")


def test_events_of_a_profile_are_in_the_namespace_default() -> None:
    event = build_event(make_object("ComputeProfile"), ACCEPTED, NOW, "host")
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["regarding"]
