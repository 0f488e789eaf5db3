"""Stages whose pods fail, are evicted, or do not start."""

from dataclasses import replace

import pytest

from builders import (
    at,
    failed_pod,
    make_job,
    make_object,
    make_pod,
    succeeded_pod,
)
from pretrain_api.conditions import Reason
from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_api.reports import ExitClass
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.plans import JobSize
from stage_plans import PLACED, created, finish, first_job, plan, run_to_end, status_after

ELSEWHERE = {PLACEMENT_ANNOTATION: "elsewhere"}
FAILURE = State(Phase.FAILED, Reason.BAD_DATA, "a.jsonl.gz: is cut")
BY_NODE = "TerminationByKubelet"


def test_a_program_that_names_no_artifact_fails_and_is_not_run_again() -> None:
    after = plan([finish(first_job())])
    assert (after.state.phase, after.create, after.delete) == (Phase.FAILED, None, ())


def test_a_failed_task_fails_the_object_with_the_message_of_its_report() -> None:
    jobs, _ = run_to_end()
    name = created(plan(jobs[:1])).name
    pod = failed_pod(1, exit_class=ExitClass.BAD_DATA, message="a.jsonl.gz: is cut at byte 7")
    job = make_job(name, [succeeded_pod(0), pod], failing=True, annotations=PLACED)
    after = plan([jobs[0], job])
    assert (after.state.phase, after.state.reason) == (Phase.FAILED, Reason.BAD_DATA)
    message, _, hint = after.state.message.partition("; to retry: ")
    assert message == "stage prepare, task 1: a.jsonl.gz: is cut at byte 7"
    assert hint.endswith("datapipeline thing pretrain.dev/retry=1 --overwrite")


def test_a_failure_stays_although_its_job_is_gone() -> None:
    failed = replace(plan(), state=FAILURE)
    after = plan((), status_after(failed))
    assert (after.state, after.create) == (FAILURE, None)


def test_a_new_value_of_the_retry_annotation_starts_over() -> None:
    first = plan()
    owner = make_object("DataPipeline", annotations={RETRY_ANNOTATION: "2"})
    after = plan((), status_after(replace(first, state=FAILURE)), owner)
    assert created(after).name != created(first).name


def test_out_of_memory_names_the_field_to_raise() -> None:
    pod = failed_pod(code=137, reason="OOMKilled")
    job = make_job(first_job().name, [pod], failed=True, annotations=PLACED)
    state = plan([job]).state
    assert state.reason is Reason.OUT_OF_MEMORY
    assert "raise spec.pods.data.memory of the ComputeProfile" in state.message


def test_only_a_failure_that_a_profile_can_fix_is_retried_when_the_profile_changes() -> None:
    name = first_job().name
    pod = failed_pod(code=137, reason="OOMKilled")
    failed = make_job(name, [pod], failed=True, annotations=ELSEWHERE)
    assert plan([failed]).delete == (name,)
    wrong = failed_pod(exit_class=ExitClass.USER_ERROR, message="spec.rules[0]: wrong")
    failed = make_job(name, [wrong], failed=True, annotations=ELSEWHERE)
    assert plan([failed]).state.phase is Phase.FAILED


def test_pods_that_do_not_start_are_reported() -> None:
    stuck = make_pod(0, "Pending", waiting="ImagePullBackOff: no such image")
    state = plan([make_job(first_job().name, [stuck], annotations=PLACED)]).state
    assert state.reason is Reason.WAITING_FOR_PODS
    assert "ImagePullBackOff" in state.message


def test_a_task_that_is_retried_is_reported() -> None:
    pods = [failed_pod(exit_class=ExitClass.INFRASTRUCTURE, message="storage timed out")]
    state = plan([make_job(first_job().name, pods, annotations=PLACED)]).state
    assert state.phase is Phase.RUNNING
    assert "task 0 is retried: storage timed out" in state.message


def pod_that_ended(seconds_ago: float) -> ObservedPod:
    pod = succeeded_pod()
    assert pod.end is not None
    end = replace(pod.end, finished_at=format_time(at(-seconds_ago)))
    return replace(pod, end=end)


@pytest.mark.parametrize(
    ("pods", "want"),
    [
        pytest.param([], Reason.WAITING_FOR_PODS, id="none has ever run"),
        pytest.param([make_pod()], Reason.STAGE_RUNNING, id="one runs"),
        pytest.param([pod_that_ended(2)], Reason.STAGE_RUNNING, id="one has just ended"),
        pytest.param([pod_that_ended(99)], Reason.WAITING_FOR_PODS, id="none has run for a while"),
    ],
)
def test_a_stage_waits_for_pods_only_while_none_runs_and_none_has_just_ended(
    pods: list[ObservedPod], want: Reason
) -> None:
    name = first_job(tasks=2).name
    job = make_job(name, pods, annotations=PLACED, refusal="forbidden: exceeded quota: q")
    state = plan([job], tasks=2).state
    assert state.reason is want
    assert "exceeded quota: q" in state.message


def evicted_pods(
    count: int, disruption: str = BY_NODE, reason: str = "Evicted"
) -> list[ObservedPod]:
    why = {
        "disruption": disruption,
        "reason": reason,
        "message": "The node was low on resource: memory",
    }
    return [make_pod(1, "Failed", uid=f"pod-{number}", **why) for number in range(count)]


def test_a_task_that_nodes_evict_too_often_fails_the_stage_and_stops_its_job() -> None:
    name = first_job().name
    job = make_job(name, evicted_pods(4), annotations=PLACED)
    failed = plan([job])
    assert (failed.state.phase, failed.state.reason) == (Phase.FAILED, Reason.STAGE_FAILED)
    assert "evicted its pod 4 times: The node was low on resource" in failed.state.message
    assert "spec.pods.data.memory" in failed.state.message
    assert (failed.resize, failed.delete, failed.create) == (JobSize(name, 0), (), None)
    stopped = plan([replace(job, parallelism=0)], status_after(failed))
    assert (stopped.state, stopped.resize) == (failed.state, None)


def test_a_stopped_job_is_replaced_when_its_placement_changes() -> None:
    name = first_job().name
    assert plan([make_job(name, evicted_pods(4), parallelism=0)]).delete == (name,)


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param(evicted_pods(3), id="a few evictions"),
        pytest.param(evicted_pods(50, "PreemptionByScheduler", ""), id="preempted"),
        pytest.param(evicted_pods(50, BY_NODE, "Terminated"), id="nodes shut down"),
        pytest.param(evicted_pods(50, BY_NODE, "Preempting"), id="room for a critical pod"),
    ],
)
def test_a_few_evictions_and_any_number_of_preemptions_fail_no_stage(
    pods: list[ObservedPod],
) -> None:
    after = plan([make_job(first_job().name, pods, annotations=PLACED)])
    assert (after.state.phase, after.resize) == (Phase.RUNNING, None)
