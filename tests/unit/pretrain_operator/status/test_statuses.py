import math
from dataclasses import replace

from builders import (
    DIGEST,
    NOW,
    artifact,
    make_object,
    make_observed_run,
    make_report,
    parsed_profile,
)
from pretrain_api.conditions import Reason
from pretrain_api.reports import ExitClass
from pretrain_api.runs import OpenedArtifact
from pretrain_api.v1alpha1.data_status import DataStatus, StageStatus
from pretrain_api.v1alpha1.datapipeline import DataPipelineStatus
from pretrain_api.v1alpha1.pipeline.summary import PipelineSummary
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, PretrainJobStatus
from pretrain_api.v1alpha1.progress import (
    CheckpointStatus,
    CurvePoint,
    Progress,
    TrainingSummary,
)
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.placement import plan_placement
from pretrain_operator.plan.plans import AttemptJob, DataPlan, Plan, RunPlan
from pretrain_operator.plan.runs.run_inputs import OpenedInputs
from pretrain_operator.plan.runs.training_run import training_run
from pretrain_operator.status.computeprofile import computeprofile_status
from pretrain_operator.status.data_kinds import data_status
from pretrain_operator.status.pretrainjob import pretrainjob_status
from pretrain_operator.status.wire import to_wire

OPENED = OpenedInputs(
    OpenedArtifact(uri="s3://b/blocks", digest=DIGEST),
    OpenedArtifact(uri="s3://b/tokens", digest=DIGEST),
)
RUNNING = State(Phase.RUNNING, Reason.STAGE_RUNNING, "stage list: 0 of 1 tasks done")
COMPLETE = State(Phase.COMPLETE, Reason.COMPLETE, "complete")
SAVED = CheckpointStatus(step=8, uri="s3://b/8", at="2026-01-02T03:04:05Z")


def observed(kind: str, status: DataStatus | PretrainJobStatus, generation: int = 1) -> Observation:
    """Return an object with the status that an earlier reconcile wrote."""
    return Observation(make_object(kind, status=to_wire(status), generation=generation))


def pipeline(status: DataPipelineStatus, plan: DataPlan, generation: int = 1) -> DataPipelineStatus:
    after = data_status(observed("DataPipeline", status, generation), plan, NOW)
    assert isinstance(after, DataPipelineStatus)
    return after


def run(
    status: PretrainJobStatus, plan: RunPlan, progress: Progress | None = None
) -> PretrainJobStatus:
    before = replace(observed("PretrainJob", status), progress=progress)
    return pretrainjob_status(before, plan, NOW)


def test_an_older_artifact_stays_until_the_new_one_is_complete() -> None:
    summary = PipelineSummary(read=3, kept=2)
    old = DataPipelineStatus(artifact=artifact("old"), spec_digest="a", summary=summary)
    during = pipeline(old, DataPlan(RUNNING, digest="b"), 2)
    assert (during.artifact, during.spec_digest, during.summary) == (artifact("old"), "a", summary)
    report = make_report(artifact=artifact("new"), pipeline=PipelineSummary(read=9))
    plan = DataPlan(COMPLETE, artifact=artifact("new"), report=report, digest="b")
    after = pipeline(during, plan, 2)
    assert (after.artifact, after.spec_digest) == (artifact("new"), "b")
    assert after.summary == PipelineSummary(read=9)


def test_a_reused_artifact_is_reported() -> None:
    report = make_report(artifact=artifact(), reused=True)
    plan = DataPlan(COMPLETE, artifact=artifact(), report=report, digest="a")
    assert pipeline(DataPipelineStatus(), plan).reused


def test_the_same_plan_leads_to_the_same_status() -> None:
    stage = StageStatus(name="list", job="x-list-1")
    plan = DataPlan(RUNNING, stages=(stage,), digest="a")
    first = pipeline(DataPipelineStatus(), plan)
    assert to_wire(pipeline(first, plan)) == to_wire(first)


def test_progress_and_checkpoint_are_those_that_rank_0_reported_last() -> None:
    reported = Progress(step=9, loss=2.5, checkpoint=SAVED)
    status = run(PretrainJobStatus(), RunPlan(RUNNING), progress=reported)
    assert (status.progress, status.checkpoint) == (reported, SAVED)
    unpolled = run(status, RunPlan(RUNNING))
    assert (unpolled.progress, unpolled.checkpoint) == (reported, SAVED)
    assert {c.type: c.status for c in unpolled.conditions}["CheckpointHealthy"] == "True"


def test_a_failed_attempt_reports_the_steps_that_it_lost() -> None:
    ended = AttemptStatus(number=1, job="run-a1", reason="infrastructure")
    before = PretrainJobStatus(progress=Progress(attempt=1, step=11, checkpoint=SAVED))
    status = run(before, RunPlan(RUNNING, attempts=(ended,)))
    assert (status.attempts[-1].to_step, status.attempts[-1].lost_steps) == (11, 3)


def test_steps_belong_to_the_attempt_that_ran_them_and_not_to_the_one_that_starts() -> None:
    ended = AttemptStatus(number=1, job="run-a1", reason="preempted")
    started = AttemptStatus(number=2, job="run-a2")
    job = AttemptJob(
        name="run-a2",
        run=training_run(make_observed_run(), parsed_profile(), OPENED, 2),
        placement=plan_placement(parsed_profile(), "trainer"),
        secrets=(),
        status=started,
    )
    report = make_report(
        ExitClass.PREEMPTED, training=TrainingSummary(from_step=2, to_step=11), checkpoint=SAVED
    )
    status = run(
        PretrainJobStatus(), RunPlan(RUNNING, create=job, attempts=(ended,), report=report)
    )
    first, second = status.attempts
    assert (first.from_step, first.to_step, first.lost_steps) == (2, 11, 3)
    assert second == started
    assert status.inputs == job.run.inputs


def test_a_complete_run_has_the_summary_of_its_report() -> None:
    ended = AttemptStatus(number=2, job="run-a2", reason="complete")
    summary = TrainingSummary(from_step=8, to_step=10, loss=1.5, perplexity=4.5, export=artifact())
    report = make_report(training=summary, checkpoint=SAVED, curve=[CurvePoint(step=1, loss=9.0)])
    plan = RunPlan(COMPLETE, attempts=(ended,), report=report, train_iters=10)
    status = run(PretrainJobStatus(), plan)
    assert (status.summary, status.export) == (summary, artifact())
    assert status.progress is not None
    assert (status.progress.phase, status.progress.step) == ("complete", 10)
    assert (status.progress.total_steps, status.progress.attempt) == (10, 2)
    assert (status.attempts[-1].from_step, status.attempts[-1].to_step) == (8, 10)

    plan = replace(plan, report=report.model_copy(update={"reused": True}))
    found = run(PretrainJobStatus(), plan).attempts[-1]
    assert (found.from_step, found.to_step) == (10, 10), "it has trained nothing"


def test_a_suspended_run_is_neither_stalled_nor_reconciling() -> None:
    suspended = State(Phase.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true")
    status = run(PretrainJobStatus(), RunPlan(suspended))
    conditions = {condition.type: condition.status for condition in status.conditions}
    assert (conditions["Suspended"], conditions["Stalled"], conditions["Reconciling"]) == (
        "True",
        "False",
        "False",
    )


def test_nan_and_infinity_are_left_out() -> None:
    curve = [CurvePoint(step=1, loss=2.0), CurvePoint(step=2, loss=math.nan)]
    progress = Progress(loss=math.inf, curve=curve)
    wire = to_wire(PretrainJobStatus(progress=progress))["progress"]
    assert "loss" not in wire
    assert wire["curve"] == [{"step": 1, "loss": 2.0}]


def test_a_profile_is_ready_unless_it_is_invalid() -> None:
    valid = Plan(State(Phase.COMPLETE, Reason.VALID))
    profile = make_object("ComputeProfile")
    good = computeprofile_status(Observation(profile), valid, NOW)
    assert {c.type: c.status for c in good.conditions} == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "Accepted": "True",
    }
    wrong = Plan(State(Phase.INVALID, Reason.INVALID_SPEC, "spec.a: wrong; spec.b: wrong"))
    before = replace(profile, status=to_wire(good), generation=2)
    bad = computeprofile_status(Observation(before), wrong, NOW)
    accepted = next(c for c in bad.conditions if c.type == "Accepted")
    assert (accepted.status, accepted.message) == ("False", "spec.a: wrong; spec.b: wrong")


def test_every_reason_to_fail_has_a_name() -> None:
    for exit_class in ExitClass:
        assert State(Phase.FAILED, Reason.STAGE_FAILED, exit_class.value).is_finished
