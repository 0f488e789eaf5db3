import math

from builders import NOW, artifact, make_report
from pretrain_api.conditions import Reason
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.data_status import StageStatus
from pretrain_api.v1alpha1.datapipeline import DataPipelineStatus, PipelineSummary
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, PretrainJobStatus
from pretrain_api.v1alpha1.progress import (
    CheckpointStatus,
    CurvePoint,
    Progress,
    TrainingSummary,
)
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.pretrainjob import RunPlan
from pretrain_operator.plan.stages import WorkPlan
from pretrain_operator.status.pretrainjob import RunOutcome, run_status
from pretrain_operator.status.profile import profile_status
from pretrain_operator.status.wire import to_wire
from pretrain_operator.status.work import WorkOutcome, work_status

RUNNING = State(Phase.RUNNING, Reason.STAGE_RUNNING, "stage list: 0 of 1 tasks done")
COMPLETE = State(Phase.COMPLETE, Reason.COMPLETE, "complete")
SAVED = CheckpointStatus(step=8, uri="s3://b/8", at="2026-01-02T03:04:05Z")


def test_an_older_artifact_stays_until_the_new_one_is_complete() -> None:
    summary = PipelineSummary(read=3, kept=2)
    old = DataPipelineStatus(artifact=artifact("old"), spec_digest="a", summary=summary)
    during = work_status(old, WorkOutcome(WorkPlan(RUNNING), "b"), 2, NOW)
    assert isinstance(during, DataPipelineStatus)
    assert (during.artifact, during.spec_digest, during.summary) == (artifact("old"), "a", summary)
    report = make_report(artifact=artifact("new"), pipeline=PipelineSummary(read=9))
    plan = WorkPlan(COMPLETE, artifact=artifact("new"), report=report)
    after = work_status(during, WorkOutcome(plan, "b"), 2, NOW)
    assert isinstance(after, DataPipelineStatus)
    assert (after.artifact, after.spec_digest) == (artifact("new"), "b")
    assert after.summary == PipelineSummary(read=9)


def test_a_reused_artifact_says_so() -> None:
    report = make_report(artifact=artifact(), reused=True)
    plan = WorkPlan(COMPLETE, artifact=artifact(), report=report)
    assert work_status(DataPipelineStatus(), WorkOutcome(plan, "a"), 1, NOW).reused


def test_a_status_that_says_the_same_again_is_equal() -> None:
    stage = StageStatus(name="list", job="x-list-1")
    outcome = WorkOutcome(WorkPlan(RUNNING, stages=(stage,)), "a")
    first = work_status(DataPipelineStatus(), outcome, 1, NOW)
    assert to_wire(work_status(first, outcome, 1, NOW)) == to_wire(first)


def outcome(
    state: State, plan: RunPlan | None = None, progress: Progress | None = None
) -> RunOutcome:
    return RunOutcome(plan or RunPlan(state, ()), None, progress, train_iters=10)


def test_progress_and_checkpoint_are_what_rank_0_said() -> None:
    said = Progress(step=9, loss=2.5, checkpoint=SAVED)
    status = run_status(PretrainJobStatus(), outcome(RUNNING, progress=said), 1, NOW)
    assert (status.progress, status.checkpoint) == (said, SAVED)
    silent = run_status(status, outcome(RUNNING), 1, NOW)
    assert (silent.progress, silent.checkpoint) == (said, SAVED)
    assert {c.type: c.status for c in silent.conditions}["CheckpointHealthy"] == "True"


def test_an_attempt_that_died_tells_what_it_lost() -> None:
    ended = AttemptStatus(number=1, job="run-a1", reason="infrastructure")
    before = PretrainJobStatus(progress=Progress(attempt=1, step=11, checkpoint=SAVED))
    status = run_status(before, outcome(RUNNING, RunPlan(RUNNING, (ended,))), 1, NOW)
    assert (status.attempts[-1].to_step, status.attempts[-1].lost_steps) == (11, 3)


def test_a_complete_run_shows_what_it_reached() -> None:
    ended = AttemptStatus(number=2, job="run-a2", reason="complete")
    reached = TrainingSummary(from_step=8, to_step=10, loss=1.5, perplexity=4.5, export=artifact())
    report = make_report(training=reached, checkpoint=SAVED, curve=[CurvePoint(step=1, loss=9.0)])
    plan = RunPlan(COMPLETE, (ended,), report=report)
    status = run_status(PretrainJobStatus(), outcome(COMPLETE, plan), 1, NOW)
    assert (status.summary, status.export) == (reached, artifact())
    assert status.progress is not None
    assert (status.progress.phase, status.progress.step) == ("complete", 10)
    assert (status.progress.total_steps, status.progress.attempt) == (10, 2)
    assert (status.attempts[-1].from_step, status.attempts[-1].to_step) == (8, 10)


def test_a_held_run_is_suspended_and_neither_stalled_nor_reconciling() -> None:
    held = State(Phase.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true")
    status = run_status(PretrainJobStatus(), outcome(held), 1, NOW)
    said = {condition.type: condition.status for condition in status.conditions}
    assert (said["Suspended"], said["Stalled"], said["Reconciling"]) == ("True", "False", "False")


def test_numbers_that_json_does_not_have_are_left_out() -> None:
    curve = [CurvePoint(step=1, loss=2.0), CurvePoint(step=2, loss=math.nan)]
    progress = Progress(loss=math.inf, curve=curve)
    wire = to_wire(PretrainJobStatus(progress=progress))["progress"]
    assert "loss" not in wire
    assert wire["curve"] == [{"step": 1, "loss": 2.0}]


def test_a_profile_is_ready_unless_it_is_wrong() -> None:
    good = profile_status([], [], 1, NOW)
    assert {c.type: c.status for c in good.conditions} == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "Accepted": "True",
    }
    bad = profile_status(good.conditions, ["spec.a: wrong", "spec.b: wrong"], 2, NOW)
    accepted = next(c for c in bad.conditions if c.type == "Accepted")
    assert (accepted.status, accepted.message) == ("False", "spec.a: wrong; spec.b: wrong")


def test_every_reason_to_fail_has_a_name() -> None:
    for known in ExitClass:
        assert State(Phase.FAILED, Reason.STAGE_FAILED, known.value).is_finished
