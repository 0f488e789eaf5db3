"""Statuses over a life: each is computed from the one before, as the API server returns it."""

import json
import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import artifact, at, make_object, make_report
from pretrain_api.conditions import Condition, ConditionType, Reason
from pretrain_api.kinds import KINDS
from pretrain_api.meta import LARGEST_INTEGER
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.data_status import StageStatus
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, PretrainJobStatus
from pretrain_api.v1alpha1.progress import (
    CheckpointStatus,
    CurvePoint,
    Progress,
    TrainingSummary,
)
from pretrain_operator.build.event import EventRecord, build_event
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, State, read_status
from pretrain_operator.plan.plans import DataPlan, Plan, RunPlan
from pretrain_operator.status.computeprofile import computeprofile_status
from pretrain_operator.status.data_kinds import data_status
from pretrain_operator.status.events import AnyStatus, status_events
from pretrain_operator.status.pretrainjob import pretrainjob_status
from pretrain_operator.status.wire import to_wire

DATA_KINDS = ("DataPipeline", "Tokenizer", "TokenDataset")
COMMON = {"Ready", "Reconciling", "Stalled", "Accepted"}
OF_DATA = COMMON | {"DataReady", "Complete", "Failed"}
COMPLETE_SETS = {
    "ComputeProfile": COMMON,
    **dict.fromkeys(DATA_KINDS, OF_DATA),
    "PretrainJob": OF_DATA | {"Running", "CheckpointHealthy", "Suspended"},
}

states = st.builds(
    State, st.sampled_from(Phase), st.sampled_from(Reason), st.sampled_from(["", "a", "b" * 9000])
)
floats = st.floats(allow_nan=True, allow_infinity=True) | st.just(math.nan)
counts = st.integers(0, LARGEST_INTEGER)
checkpoints = st.builds(CheckpointStatus, step=counts, uri=st.just("s3://b/1"), at=st.just("now"))
curves = st.lists(st.builds(CurvePoint, step=counts, loss=floats), max_size=4)
progresses = st.builds(
    Progress,
    attempt=st.integers(0, 3),
    step=counts,
    loss=st.none() | floats,
    mfu=st.none() | floats,
    eta_seconds=st.none() | floats,
    checkpoint=st.none() | checkpoints,
    curve=curves,
)
summaries = st.builds(
    TrainingSummary, from_step=counts, to_step=counts, loss=st.none() | floats, perplexity=floats
)
reports = st.builds(
    make_report,
    st.sampled_from(ExitClass),
    training=st.none() | summaries,
    checkpoint=st.none() | checkpoints,
    curve=curves,
)


def next_status(kind: str, observed: Observation, plan: Plan, seconds: float) -> AnyStatus:
    if kind == "ComputeProfile":
        return computeprofile_status(observed, plan, at(seconds))
    if kind == "PretrainJob":
        run = RunPlan(plan.state, attempts=(AttemptStatus(number=1, job="run-a1"),))
        return pretrainjob_status(observed, run, at(seconds))
    return data_status(observed, DataPlan(plan.state), at(seconds))


@settings(max_examples=60)
@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(states, st.integers(0, 1)), min_size=1, max_size=6),
)
def test_conditions_are_complete_and_their_times_are_those_of_their_transitions(
    kind: Any, steps: list[tuple[State, int]]
) -> None:
    owner = make_object(kind.name)
    transitions: dict[str, tuple[str, str]] = {}
    for number, (state, is_edited) in enumerate(steps):
        owner = replace(owner, generation=owner.generation + is_edited)
        status = next_status(kind.name, Observation(owner), Plan(state), number)
        assert {item.type for item in status.conditions} == COMPLETE_SETS[kind.name]
        assert len(status.conditions) == len(COMPLETE_SETS[kind.name])
        for item in status.conditions:
            before, since = transitions.get(item.type, ("", ""))
            want = since if before == item.status else format_time(at(number))
            assert item.last_transition_time == want
            assert item.observed_generation == owner.generation
            assert len(item.message) <= 8192
            transitions[item.type] = (item.status, item.last_transition_time)
        owner = replace(owner, status=to_wire(status))


@settings(max_examples=60)
@given(st.sampled_from(KINDS), states, states)
def test_a_repeated_reconcile_writes_nothing_and_reports_nothing(
    kind: Any, first: State, second: State
) -> None:
    owner = make_object(kind.name)
    for state in (first, second):
        status = next_status(kind.name, Observation(owner), Plan(state), 0)
        owner = replace(owner, status=to_wire(status))
    again = next_status(kind.name, Observation(owner), Plan(second), 3600)
    assert to_wire(again) == owner.status
    assert status_events(read_status(kind.status, owner), again) == ()


@given(states)
def test_an_object_is_in_at_most_one_of_the_states_of_kstatus(state: State) -> None:
    status = data_status(Observation(make_object("Tokenizer")), DataPlan(state), at(0))
    is_true = {item.type for item in status.conditions if item.status == "True"}
    assert len(is_true & {"Reconciling", "Stalled"}) <= 1
    assert not {"Complete", "Failed"} <= is_true
    assert ("Complete" in is_true) == (state.phase is Phase.COMPLETE)
    assert "Failed" not in is_true or "Stalled" in is_true


@settings(max_examples=80)
@given(
    previous=progresses,
    polled=st.none() | progresses,
    report=st.none() | reports,
    state=states,
    reason=st.none() | st.sampled_from(ExitClass),
)
def test_any_report_of_a_trainer_leads_to_a_status_that_the_api_server_accepts(
    previous: Progress,
    polled: Progress | None,
    report: Any,
    state: State,
    reason: ExitClass | None,
) -> None:
    before = PretrainJobStatus(progress=previous)
    owner = make_object("PretrainJob", "run", status=to_wire(before))
    attempt = AttemptStatus(number=1, job="run-a1", reason=reason and reason.value)
    plan = RunPlan(state, attempts=(attempt,), report=report, train_iters=10)
    status = pretrainjob_status(Observation(owner, progress=polled), plan, at(0))
    wire = to_wire(status)
    text = json.dumps(wire, allow_nan=False)
    assert "null" not in text
    assert all(-(2**63) <= number < 2**63 for number in _integers(wire))
    read = PretrainJobStatus.model_validate(wire)
    assert to_wire(read) == wire, "what is read back is what was written"
    for item in read.attempts:
        if item.lost_steps is not None and item.to_step is not None:
            assert 0 <= item.lost_steps <= item.to_step


def _integers(value: object) -> list[int]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in _integers(item)]
    if isinstance(value, list):
        return [number for item in value for number in _integers(item)]
    return [value] if isinstance(value, int) else []


@settings(max_examples=60)
@given(st.data())
def test_every_step_of_an_object_has_one_event_however_reconciles_are_spread(
    data: st.DataObject,
) -> None:
    """Attempts start and end, and stages finish, in order; a reconcile may see several steps."""
    count = data.draw(st.integers(1, 4), label="attempts")
    ends = data.draw(st.lists(st.sampled_from(ExitClass), min_size=count, max_size=count))
    lives = [(number, None) for number in range(1, count + 1)]
    history: list[PretrainJobStatus] = [PretrainJobStatus()]
    for number, _ in lives:
        ended = [
            AttemptStatus(number=n, job=f"run-a{n}", reason=ends[n - 1].value)
            for n in range(1, number)
        ]
        running = AttemptStatus(number=number, job=f"run-a{number}")
        over = running.model_copy(update={"reason": ends[number - 1].value})
        history.append(PretrainJobStatus(attempts=[*ended, running]))
        history.append(PretrainJobStatus(attempts=[*ended, over]))
    seen = data.draw(st.sets(st.integers(1, len(history) - 1)), label="reconciles")
    shown = [history[0], *(history[i] for i in sorted(seen | {len(history) - 1}))]
    records = [
        record
        for before, after in pairwise(shown)
        for record in (*status_events(before, after), *status_events(after, after))
    ]
    reasons = Counter(record.reason for record in records)
    failures = sum(end is not ExitClass.COMPLETE for end in ends)  # the run tells of the others
    assert reasons == Counter({"AttemptStarted": count, "AttemptEnded": failures})
    assert len([record for record in records if record.is_warning]) == failures
    places = {(record.reason, record.message): i for i, record in enumerate(records)}
    assert len(places) == len(records)


@given(st.lists(st.booleans(), min_size=1, max_size=5), st.booleans())
def test_a_stage_that_ran_again_has_an_event_for_each_of_its_jobs(
    finished: list[bool], renamed: bool
) -> None:
    """An edited spec gives a stage another Job of the same name of the stage."""
    owner = make_object("DataPipeline")
    messages: list[str] = []
    stages: dict[str, StageStatus] = {}
    for number, is_finished in enumerate(finished):
        job = f"x-list-{number if renamed else 0}"
        was_finished = job in stages and stages[job].finished_at is not None
        at_end = format_time(at(number)) if is_finished or was_finished else None
        done = int(at_end is not None)
        stages[job] = StageStatus(
            name="list", job=job, tasks=1, succeeded=done, finished_at=at_end, seconds=1.0
        )
        state = State(Phase.RUNNING, Reason.STAGE_RUNNING)
        plan = DataPlan(state, stages=(stages[job],))
        status = data_status(Observation(owner), plan, at(number))
        before = read_status(type(status), owner)
        messages += [e.message for e in status_events(before, status) if e.reason[:5] == "Stage"]
        owner = replace(owner, status=to_wire(status))
    assert len(messages) == (sum(finished) if renamed else int(any(finished)))


@given(st.text(), st.text(max_size=100), st.integers(1, 253), st.booleans())
def test_any_message_becomes_an_event_that_the_api_server_accepts(
    message: str, reason: str, length: int, is_warning: bool
) -> None:
    owner = make_object("PretrainJob", "n" * length)
    record = EventRecord(reason, message * 20, is_warning)
    event = build_event(owner, record, at(0), "host" * 100)
    assert len(event["metadata"]["name"]) <= 253
    assert len(event["note"].encode()) <= 1024
    assert len(event["reportingInstance"]) <= 128
    assert (message * 20).startswith(event["note"].removesuffix("…"))
    assert event["type"] == ("Warning" if is_warning else "Normal")
    assert event["regarding"]["uid"] == owner.uid


def test_an_artifact_outlives_every_later_state_of_its_object() -> None:
    complete = State(Phase.COMPLETE, Reason.COMPLETE)
    owner = make_object("Tokenizer")
    plan = DataPlan(complete, artifact=artifact(), digest="d", report=make_report())
    owner = replace(owner, status=to_wire(data_status(Observation(owner), plan, at(0))))
    for phase in Phase:
        plan = DataPlan(State(phase, Reason.STAGE_RUNNING))
        status = data_status(Observation(owner), plan, at(1))
        assert (status.artifact, status.spec_digest) == (artifact(), "d")


def test_a_condition_of_a_later_version_is_dropped_from_the_set() -> None:
    later = Condition(
        type="InventedLater", status="True", reason="New", last_transition_time=format_time(at(0))
    )
    before = PretrainJobStatus(conditions=[later])
    owner = make_object("PretrainJob", "run", status=to_wire(before))
    plan = RunPlan(State(Phase.RUNNING, Reason.ATTEMPT_RUNNING))
    status = pretrainjob_status(Observation(owner), plan, at(1))
    types = [item.type for item in status.conditions]
    assert sorted(types) == sorted(ConditionType)
