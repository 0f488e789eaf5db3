"""Any plan becomes a status that the API server takes, and that is read back whole."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from builders import NOW, artifact, at, make_object, make_report
from pretrain_api.conditions import ConditionType, Reason
from pretrain_api.kinds import KINDS
from pretrain_api.meta import LARGEST_INTEGER
from pretrain_api.schema import structural_schema
from pretrain_api.v1alpha1.data_status import StageStatus
from pretrain_api.v1alpha1.datapipeline import DataPipelineStatus
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, PretrainJobStatus
from pretrain_api.v1alpha1.progress import CheckpointStatus, CurvePoint, Progress, TrainingSummary
from pretrain_api.v1alpha1.tokendataset import DatasetSummary, PartSummary, TokenDatasetStatus
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, State, read_status
from pretrain_operator.plan.plans import DataPlan, RunPlan
from pretrain_operator.status.data_kinds import data_status
from pretrain_operator.status.events import status_events
from pretrain_operator.status.pretrainjob import pretrainjob_status
from pretrain_operator.status.wire import to_wire

Json = dict[str, Any]
SCHEMAS = {kind.name: structural_schema(kind.status) for kind in KINDS}
TYPES = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "array": list,
    "object": dict,
}

TEXT = st.text(max_size=30) | st.just("x" * 9_000)
COUNT = st.integers(0, LARGEST_INTEGER)
NUMBER = st.floats() | st.none()
TIME = st.integers(0, 10**9).map(lambda second: at(second).strftime("%Y-%m-%dT%H:%M:%SZ"))
STATES = st.builds(State, st.sampled_from(Phase), st.sampled_from(Reason), TEXT)
CHECKPOINTS = st.builds(CheckpointStatus, step=COUNT, uri=TEXT, at=TIME)
CURVES = st.lists(st.builds(CurvePoint, step=COUNT, loss=st.floats()), max_size=4)
ATTEMPTS = st.lists(
    st.builds(
        AttemptStatus,
        number=COUNT,
        job=TEXT,
        reason=st.none() | st.sampled_from(["complete", "infrastructure", "preempted", "x"]),
        message=TEXT,
        started_at=st.none() | TIME,
    ),
    max_size=4,
    unique_by=lambda attempt: attempt.number,
)
PROGRESS = st.builds(
    Progress,
    phase=TEXT,
    attempt=COUNT,
    step=COUNT,
    loss=NUMBER,
    mfu=NUMBER,
    eta_seconds=NUMBER,
    checkpoint=st.none() | CHECKPOINTS,
    curve=CURVES,
)
REPORTS = st.builds(
    make_report,
    training=st.none()
    | st.builds(TrainingSummary, to_step=COUNT, loss=NUMBER, perplexity=NUMBER, epochs=NUMBER),
    checkpoint=st.none() | CHECKPOINTS,
    curve=CURVES,
)
STAGES = st.lists(
    st.builds(
        StageStatus,
        name=st.sampled_from(["list", "prepare"]),
        job=TEXT,
        tasks=COUNT,
        counts=st.dictionaries(TEXT, COUNT, max_size=2),
        seconds=st.floats(),
    ),
    max_size=3,
)


def wrong(schema: Json, value: Any, path: str) -> list[str]:
    """Return where a value is not what a structural schema says."""
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        return [f"{path}: {value!r} is no {schema['type']}"]
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return [f"{path}: {value} is too large"]
    found = []
    if isinstance(value, dict):
        missing = set(schema.get("required", ())) - set(value)
        found += [f"{path}.{name}: missing" for name in sorted(missing)]
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            found += [f"{path}.{name}: unknown"] if inner is None else []
            found += wrong(inner or {}, item, f"{path}.{name}")
    if isinstance(value, list):
        found += [line for item in value for line in wrong(schema["items"], item, f"{path}[]")]
        found += [f"{path}: too long"] if len(value) > schema.get("maxItems", math.inf) else []
    return found


def require_sound(kind: str, status: BaseModel) -> Json:
    """Check that the API server takes a status, and that nothing of it is lost on the way."""
    wire = to_wire(status)
    assert wrong(SCHEMAS[kind], wire, kind) == []
    again = to_wire(read_status(type(status), make_object(kind, status=wire)))
    assert contains(again, wire)
    assert to_wire(read_status(type(status), make_object(kind, status=again))) == again
    return wire


def contains(whole: Any, part: Any) -> bool:
    """Return whether a value has all that another has; fields may have got their defaults."""
    if isinstance(part, dict):
        return all(name in whole and contains(whole[name], item) for name, item in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


def conditions_of(status: Any) -> dict[str, Any]:
    assert len({condition.type for condition in status.conditions}) == len(status.conditions)
    return {condition.type: condition for condition in status.conditions}


def require_transitions(before: Any, after: Any) -> None:
    """Check that the time of a condition is that of its last change of status."""
    old = conditions_of(before)
    for kind, condition in conditions_of(after).items():
        is_same = old[kind].status == condition.status
        assert (old[kind].last_transition_time == condition.last_transition_time) is is_same


@settings(max_examples=100)
@given(first=STATES, second=STATES, stages=STAGES, attempts=ATTEMPTS, progress=st.none() | PROGRESS)
def test_the_next_status_of_a_run_is_sound_whatever_it_is_made_of(
    first: State,
    second: State,
    stages: list[StageStatus],
    attempts: list[AttemptStatus],
    progress: Progress | None,
) -> None:
    owner = make_object("PretrainJob", "run")
    before = pretrainjob_status(
        Observation(owner, progress=progress), RunPlan(first, attempts=tuple(attempts)), NOW
    )
    wire = require_sound("PretrainJob", before)
    observed = Observation(make_object("PretrainJob", "run", status=wire, generation=2))
    after = pretrainjob_status(observed, RunPlan(second, attempts=tuple(attempts)), at(60))
    require_sound("PretrainJob", after)
    require_transitions(before, after)
    assert set(conditions_of(after)) == set(ConditionType)
    assert {condition.observed_generation for condition in after.conditions} == {2}
    status_events(before, after)


@settings(max_examples=100)
@given(report=REPORTS, attempts=ATTEMPTS, progress=st.none() | PROGRESS, state=STATES)
def test_whatever_pods_report_the_status_holds(
    report: Any, attempts: list[AttemptStatus], progress: Progress | None, state: State
) -> None:
    plan = RunPlan(state, attempts=tuple(attempts), report=report, train_iters=10)
    if report.training is not None and not attempts:
        return
    observed = Observation(make_object("PretrainJob", "run"), progress=progress)
    status = pretrainjob_status(observed, plan, NOW)
    wire = require_sound("PretrainJob", status)
    told = report.checkpoint or (progress and progress.checkpoint)
    assert ("checkpoint" in wire) is (told is not None)


@settings(max_examples=100)
@given(first=STATES, second=STATES, stages=STAGES)
def test_the_next_status_of_a_pipeline_is_sound_and_forgets_no_stage(
    first: State, second: State, stages: list[StageStatus]
) -> None:
    owner = make_object("DataPipeline")
    plan = DataPlan(first, stages=tuple(stages), artifact=artifact(), digest="a")
    before = data_status(Observation(owner), plan, NOW)
    wire = require_sound("DataPipeline", before)
    assert [stage["job"] for stage in wire.get("stages", ())] == [stage.job for stage in stages]
    observed = Observation(make_object("DataPipeline", status=wire, generation=2))
    after = data_status(observed, DataPlan(second), at(60))
    require_transitions(before, after)
    assert contains(to_wire(after)["stages"], wire["stages"])
    assert after.artifact == artifact()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_costs_only_itself(number: float) -> None:
    stage = StageStatus(name="list", job="x-list", tasks=1, succeeded=1, seconds=number)
    wire = require_sound("DataPipeline", DataPipelineStatus(stages=[stage]))
    assert wire["stages"][0]["succeeded"] == 1
    parts = [PartSummary(tokens=5, epochs=number), PartSummary(tokens=7)]
    summary = DatasetSummary(sequence_length=8, vocabulary_size=9, parts=parts)
    wire = require_sound("TokenDataset", TokenDatasetStatus(summary=summary))
    assert [part["tokens"] for part in wire["summary"]["parts"]] == [5, 7], "parts are by position"
    curve = [CurvePoint(step=1, loss=number), CurvePoint(step=2, loss=1.0)]
    wire = require_sound("PretrainJob", PretrainJobStatus(progress=Progress(curve=curve)))
    assert [point["step"] for point in wire["progress"]["curve"]] == [2], "a point needs its loss"
