from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    NOW,
    artifact,
    at,
    complete_job,
    failed_pod,
    make_job,
    make_object,
    make_pod,
    parsed_pipeline,
    parsed_profile,
    succeeded_pod,
)
from pretrain_api.conditions import Reason
from pretrain_api.meta import LARGEST_INTEGER, RETRY_ANNOTATION
from pretrain_api.reports import ExitClass
from pretrain_api.runs import PIPELINE_STAGES
from pretrain_api.v1alpha1.data_status import StageStatus
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.data.chains import plan_chain
from pretrain_operator.plan.data.data_plan import DataPlan
from pretrain_operator.plan.data.objects import DataObject
from pretrain_operator.plan.data.stage_job import StageJob
from pretrain_operator.plan.data.stage_status import stage_status
from pretrain_operator.plan.data.stages import plan_stages
from pretrain_operator.plan.placement import plan_placement
from pretrain_operator.plan.plans import JobSize

PLACEMENT = plan_placement(parsed_profile(), "data")
PLACED = {PLACEMENT_ANNOTATION: PLACEMENT.digest}


def plan(
    jobs: Sequence[ObservedJob] = (),
    previous: Sequence[StageStatus] = (),
    failure: State | None = None,
    owner: ObservedObject | None = None,
    **spec: Any,
) -> DataPlan:
    thing = owner or make_object("DataPipeline")
    chain = plan_chain(DataObject(thing, parsed_pipeline(**spec), {}), PLACEMENT)
    return plan_stages(chain, jobs, previous, failure, NOW)


def finish(name: str, stage: str, tasks: int, **report: Any) -> ObservedJob:
    pods = [succeeded_pod(rank, name, seconds=1.0, counts={"read": 5}) for rank in range(tasks)]
    if report:
        pods[0] = succeeded_pod(0, name, **report)
    return complete_job(name, pods, stage=stage, annotations=PLACED)


def run_to_end(**spec: Any) -> tuple[list[ObservedJob], list[DataPlan]]:
    """Let every Job that is asked for end well, until no more is asked for."""
    jobs: list[ObservedJob] = []
    plans: list[DataPlan] = []
    while True:
        plans.append(plan(jobs, **spec))
        asked = plans[-1].create
        if not isinstance(asked, StageJob):
            return jobs, plans
        report = {"artifact": artifact()} if asked.stage in ("list", "report") else {}
        jobs.append(finish(asked.name, asked.stage, asked.tasks, **report))


def test_stages_follow_each_other_and_end_with_the_artifact() -> None:
    jobs, plans = run_to_end(tasks=3)
    assert [job.stage for job in jobs] == list(PIPELINE_STAGES)
    assert [job.completions for job in jobs] == [1, 3, 3, 1, 3, 1]
    assert plans[-1].state.phase is Phase.COMPLETE
    assert plans[-1].artifact == artifact()
    assert plans[-1].delete == ()


def test_later_stages_are_told_the_artifact_that_the_first_one_named() -> None:
    _, plans = run_to_end()
    told = [step.create.run for step in plans if step.create]
    assert [getattr(run, "artifact", None) for run in told] == [None] + [artifact()] * 5


@given(st.integers(0, 6), st.integers(1, 4))
def test_planning_twice_gives_the_same(done: int, tasks: int) -> None:
    jobs, _ = run_to_end(tasks=tasks)
    first = plan(jobs[:done], tasks=tasks)
    assert plan(jobs[:done], first.stages, tasks=tasks).create == first.create
    assert plan(jobs[:done], first.stages, tasks=tasks).stages == first.stages


def test_an_artifact_that_is_there_already_skips_all_other_stages() -> None:
    first = plan().create
    assert first is not None
    job = finish(first.name, "list", 1, artifact=artifact(), reused=True)
    after = plan([job])
    assert (after.state.phase, after.create, after.artifact) == (
        Phase.COMPLETE,
        None,
        artifact(),
    )


def test_a_changed_spec_gets_other_jobs_and_stops_the_old_ones() -> None:
    old = plan().create
    assert old is not None
    running = make_job(old.name, [make_pod()], annotations=PLACED)
    after = plan([running], sources=[{"name": "web", "uri": "file:///pretrain/data/new/*.jsonl"}])
    assert after.create is not None
    assert after.create.name != old.name
    assert after.delete == (old.name,)


def test_finished_jobs_of_an_older_spec_stay_until_it_is_known_what_is_needed() -> None:
    jobs, _ = run_to_end()
    rules = [{"length": {"minCharacters": 100}}]
    during = plan(jobs, rules=rules)
    assert during.delete == ()
    assert during.create is not None
    listed = finish(during.create.name, "list", 1, artifact=artifact("other"))
    assert set(plan([*jobs, listed], rules=rules).delete) == {job.name for job in jobs}


def test_a_new_placement_does_not_run_finished_stages_again() -> None:
    jobs, _ = run_to_end()
    moved = [replace(job, annotations={PLACEMENT_ANNOTATION: "elsewhere"}) for job in jobs]
    assert plan(moved).state.phase is Phase.COMPLETE


def test_a_job_that_could_not_start_is_made_anew_when_its_placement_changes() -> None:
    first = plan().create
    assert first is not None
    stuck = make_pod(0, "Pending", waiting="ErrImagePull: no such image")
    job = make_job(first.name, [stuck], annotations={PLACEMENT_ANNOTATION: "elsewhere"})
    assert plan([job]).delete == (first.name,)
    started = replace(job, pods=(make_pod(0, "Running"),))
    assert plan([started]).delete == ()


def test_more_parallelism_changes_the_running_job_and_nothing_else() -> None:
    jobs, _ = run_to_end(tasks=4)
    asked = plan(jobs[:1], tasks=4).create
    assert asked is not None
    running = make_job(asked.name, annotations=PLACED, completions=4, parallelism=4)
    after = plan([*jobs[:1], running], tasks=4, parallelism=2)
    assert (after.resize, after.create, after.delete) == (JobSize(asked.name, 2), None, ())


def test_a_finished_stage_is_not_run_again_because_its_job_vanished() -> None:
    jobs, plans = run_to_end()
    asked = plan(jobs[:3]).create
    after = plan(jobs[2:3], plans[3].stages)
    assert after.create == asked


def test_a_finished_stage_runs_again_if_nobody_remembers_what_it_said() -> None:
    jobs, _ = run_to_end()
    forgotten = [replace(jobs[0], pods=())]
    assert plan(forgotten).delete == (jobs[0].name,)


def test_a_program_that_names_no_artifact_is_no_reason_to_run_for_ever() -> None:
    first = plan().create
    assert first is not None
    after = plan([finish(first.name, "list", 1)])
    assert (after.state.phase, after.create, after.delete) == (Phase.FAILED, None, ())


def test_a_failed_task_ends_the_work_with_what_it_said() -> None:
    jobs, _ = run_to_end()
    asked = plan(jobs[:1]).create
    assert asked is not None
    pod = failed_pod(1, exit_class=ExitClass.BAD_DATA, message="a.jsonl.gz: is cut at byte 7")
    job = make_job(asked.name, [succeeded_pod(0), pod], failing=True, annotations=PLACED)
    after = plan([jobs[0], job])
    assert (after.state.phase, after.state.reason) == (Phase.FAILED, Reason.BAD_DATA)
    said, _, hint = after.state.message.partition("; to try again: ")
    assert said == "stage prepare, task 1: a.jsonl.gz: is cut at byte 7"
    assert hint.endswith("datapipeline thing pretrain.dev/retry=1 --overwrite")


def test_a_failure_stays_although_its_job_is_gone() -> None:
    failure = State(Phase.FAILED, Reason.BAD_DATA, "a.jsonl.gz: is cut")
    first = plan()
    after = plan((), first.stages, failure)
    assert (after.state, after.create) == (failure, None)


def test_a_new_value_of_the_retry_annotation_starts_over() -> None:
    failure = State(Phase.FAILED, Reason.BAD_DATA, "a.jsonl.gz: is cut")
    first = plan()
    again = make_object("DataPipeline", annotations={RETRY_ANNOTATION: "2"})
    after = plan((), first.stages, failure, owner=again)
    assert after.create is not None
    assert first.create is not None
    assert after.create.name != first.create.name


def test_too_little_memory_is_told_with_the_field_to_raise() -> None:
    first = plan().create
    assert first is not None
    pod = failed_pod(code=137, reason="OOMKilled")
    job = make_job(first.name, [pod], failed=True, annotations=PLACED)
    state = plan([job]).state
    assert state.reason is Reason.OUT_OF_MEMORY
    assert "raise spec.pods.data.memory of the ComputeProfile" in state.message


def test_too_little_memory_is_cured_by_a_profile_with_more() -> None:
    first = plan().create
    assert first is not None
    elsewhere = {PLACEMENT_ANNOTATION: "elsewhere"}
    pod = failed_pod(code=137, reason="OOMKilled")
    failed = make_job(first.name, [pod], failed=True, annotations=elsewhere)
    assert plan([failed]).delete == (first.name,)
    wrong = failed_pod(exit_class=ExitClass.USER_ERROR, message="spec.rules[0]: wrong")
    failed = make_job(first.name, [wrong], failed=True, annotations=elsewhere)
    assert plan([failed]).state.phase is Phase.FAILED


def test_pods_that_do_not_start_are_told_of() -> None:
    first = plan().create
    assert first is not None
    stuck = make_pod(0, "Pending", waiting="ImagePullBackOff: no such image")
    state = plan([make_job(first.name, [stuck], annotations=PLACED)]).state
    assert state.reason is Reason.WAITING_FOR_PODS
    assert "ImagePullBackOff" in state.message


def test_a_task_that_is_tried_again_is_told_of() -> None:
    first = plan().create
    assert first is not None
    pods = [failed_pod(exit_class=ExitClass.INFRASTRUCTURE, message="storage timed out")]
    state = plan([make_job(first.name, pods, annotations=PLACED)]).state
    assert state.phase is Phase.RUNNING
    assert "task 0 is tried again: storage timed out" in state.message


def pod_that_ended(seconds_ago: float) -> ObservedPod:
    pod = succeeded_pod()
    assert pod.end is not None
    end = replace(pod.end, finished_at=format_time(at(-seconds_ago)))
    return replace(pod, end=end)


@pytest.mark.parametrize(
    ("running", "want"),
    [
        pytest.param([], Reason.WAITING_FOR_PODS, id="none ever ran"),
        pytest.param([make_pod()], Reason.STAGE_RUNNING, id="one runs"),
        pytest.param([pod_that_ended(2)], Reason.STAGE_RUNNING, id="the next one is due"),
        pytest.param([pod_that_ended(99)], Reason.WAITING_FOR_PODS, id="none for a while"),
    ],
)
def test_a_stage_waits_for_pods_only_while_none_runs_and_none_has_just_ended(
    running: list[ObservedPod], want: Reason
) -> None:
    first = plan(tasks=2).create
    assert first is not None
    job = make_job(first.name, running, annotations=PLACED, refusal="forbidden: exceeded quota: q")
    state = plan([job], tasks=2).state
    assert state.reason is want
    assert "exceeded quota: q" in state.message


BY_NODE = "TerminationByKubelet"


def evicted_pods(
    times: int, disruption: str = BY_NODE, reason: str = "Evicted"
) -> list[ObservedPod]:
    why = {
        "disruption": disruption,
        "reason": reason,
        "message": "The node was low on resource: memory",
    }
    return [make_pod(1, "Failed", uid=f"pod-{number}", **why) for number in range(times)]


def test_a_task_that_nodes_put_out_again_and_again_fails_the_stage_and_stops_its_job() -> None:
    first = plan().create
    assert first is not None
    job = make_job(first.name, evicted_pods(4), annotations=PLACED)
    failed = plan([job])
    assert (failed.state.phase, failed.state.reason) == (Phase.FAILED, Reason.STAGE_FAILED)
    assert "evicted its pod 4 times: The node was low on resource" in failed.state.message
    assert "spec.pods.data.memory" in failed.state.message
    assert (failed.resize, failed.delete, failed.create) == (JobSize(first.name, 0), (), None)
    stopped = plan([replace(job, parallelism=0)], failed.stages, failed.state)
    assert (stopped.state, stopped.resize) == (failed.state, None)


def test_a_stopped_job_is_started_again_with_a_new_placement() -> None:
    first = plan().create
    assert first is not None
    job = make_job(first.name, evicted_pods(4), parallelism=0)
    assert plan([job]).delete == (first.name,)


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param(evicted_pods(3), id="now and then"),
        pytest.param(evicted_pods(50, "PreemptionByScheduler", ""), id="preempted"),
        pytest.param(evicted_pods(50, BY_NODE, "Terminated"), id="nodes shut down"),
        pytest.param(evicted_pods(50, BY_NODE, "Preempting"), id="room for a critical pod"),
    ],
)
def test_a_task_may_be_put_out_now_and_then_and_for_others_sake_always(
    pods: list[ObservedPod],
) -> None:
    first = plan().create
    assert first is not None
    after = plan([make_job(first.name, pods, annotations=PLACED)])
    assert (after.state.phase, after.resize) == (Phase.RUNNING, None)


def test_a_job_that_is_being_deleted_is_waited_for() -> None:
    first = plan().create
    assert first is not None
    after = plan([make_job(first.name, deleting=True)])
    assert (after.create, after.delete) == (None, ())
    assert "waits until" in after.state.message


def test_counts_and_seconds_are_summed_and_survive_the_pods() -> None:
    jobs, plans = run_to_end(tasks=3)
    prepare = plans[-1].stages[1]
    assert (prepare.counts, prepare.seconds, prepare.succeeded) == ({"read": 15}, 3.0, 3)
    without_pods = [replace(job, pods=()) if job.stage == "prepare" else job for job in jobs]
    assert plan(without_pods, plans[-1].stages, tasks=3).stages[1] == prepare


def test_a_sum_of_counts_stays_within_what_a_status_can_hold() -> None:
    pods = [succeeded_pod(rank, "job", counts={"read": LARGEST_INTEGER}) for rank in range(2)]
    status = stage_status("prepare", "job", 2, complete_job("job", pods), None)
    assert status.counts == {"read": LARGEST_INTEGER}
