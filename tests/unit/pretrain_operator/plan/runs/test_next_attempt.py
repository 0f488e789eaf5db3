from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from builders import (
    NOW,
    at,
    complete_job,
    failed_pod,
    make_job,
    make_object,
    make_observed_run,
    make_pod,
    parsed_run,
    succeeded_pod,
)
from pretrain_api.conditions import Reason
from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, PretrainJobStatus
from pretrain_api.v1alpha1.progress import Progress, TrainingSummary
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.plans import RunPlan
from pretrain_operator.plan.runs.next_attempt import plan_attempts, progress_pod

PLACED = {PLACEMENT_ANNOTATION: "placed"}


def plan(
    jobs: Sequence[ObservedJob] = (),
    attempts: Sequence[AttemptStatus] = (),
    pods: Sequence[ObservedPod] | None = None,
    finished: State | None = None,
    progress: Progress | None = None,
    seconds: float = 0,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> RunPlan:
    run = make_observed_run(
        owner=make_object("PretrainJob", "run", annotations=annotations or {}),
        spec=parsed_run(**spec),
        status=PretrainJobStatus(attempts=list(attempts), progress=progress),
        jobs=tuple(jobs),
        pods=tuple(pods if pods is not None else [pod for job in jobs for pod in job.pods]),
        finished=finished,
    )
    return plan_attempts(run, at(seconds))


def attempt(number: int = 1, reason: str | None = None) -> AttemptStatus:
    ended = format_time(NOW) if reason else None
    return AttemptStatus(number=number, job=f"run-a{number}", reason=reason, ended_at=ended)


def running(number: int = 1, *pods: ObservedPod, **changes: Any) -> ObservedJob:
    name = f"run-a{number}"
    both = pods or (make_pod(0, job=name), make_pod(1, job=name))
    fields = {"attempt": number, "completions": 2, "annotations": PLACED}
    return make_job(name, both, **{**fields, **changes})


def test_a_new_run_starts_its_first_attempt() -> None:
    assert plan().due == 1


def test_a_running_attempt_is_not_changed_and_polled() -> None:
    after = plan([running()], [attempt()])
    assert (after.due, after.delete) == (None, ())
    assert after.state.reason is Reason.ATTEMPT_RUNNING
    assert after.is_polled
    pod = progress_pod((running(),))
    assert pod is not None
    assert pod.rank == 0


def test_an_attempt_that_started_before_a_crash_is_restored_from_its_job() -> None:
    after = plan([running(3)], [attempt(2, "infrastructure")])
    assert after.due is None
    assert [item.number for item in after.attempts] == [2, 3]


def test_a_failed_attempt_is_followed_by_another_once_its_pods_have_ended() -> None:
    pods = (failed_pod(0, "run-a1", code=137), make_pod(1, job="run-a1"))
    ending = running(1, *pods, failing=True)
    during = plan([ending], [attempt()])
    assert (during.due, during.state.phase) == (None, Phase.RESTARTING)
    ended = replace(ending, failed=True, pods=(pods[0],))
    after = plan([ended], [attempt()])
    assert after.due == 2
    assert after.attempts[0].reason == ExitClass.INFRASTRUCTURE


def test_an_attempt_with_a_backoff_reports_its_start() -> None:
    preempted = [attempt(1, "preempted"), attempt(2, "preempted")]
    waiting = plan([], preempted)
    assert (waiting.due, waiting.requeue_at) == (None, at(2))
    assert waiting.state.message.startswith(
        f"attempt 3 starts at {format_time(at(2))}, after attempt 2 (preempted)"
    )
    assert plan([], preempted, seconds=2).due == 3


def test_no_attempt_starts_while_pods_of_a_deleted_job_still_run() -> None:
    left = make_pod(0, job="run-a1", deleted_by=format_time(NOW))
    after = plan([], [attempt()], pods=[left])
    assert after.due is None
    assert "waits until pod run-a1-0-abcde" in after.state.message
    assert plan([], [attempt()], pods=[left], seconds=60).due == 2


def test_a_new_run_waits_for_the_pods_of_an_earlier_run_of_the_same_name() -> None:
    after = plan(pods=[make_pod(0, job="run-a7", deleted_by=format_time(NOW))])
    assert after.due is None
    assert after.state.phase is Phase.RUNNING
    assert after.state.message == (
        "waits until pod run-a7-0-abcde of an earlier PretrainJob run has ended"
    )


def test_a_pod_on_a_node_that_does_not_answer_is_ignored_after_a_while() -> None:
    lost = make_pod(1, job="run-a1", deleted_by=format_time(NOW))
    job = running(1, failed_pod(0, "run-a1", code=137), lost, failing=True)
    assert plan([job], [attempt()]).due is None
    assert plan([job], [attempt()], seconds=31).due == 2


def test_a_complete_attempt_completes_the_run_with_the_report_of_pod_0() -> None:
    summary = TrainingSummary(to_step=10)
    pods = [succeeded_pod(0, "run-a1", training=summary), succeeded_pod(1, "run-a1")]
    after = plan([complete_job("run-a1", pods, attempt=1)], [attempt()])
    assert after.state.phase is Phase.COMPLETE
    assert after.report is not None
    assert after.report.training == summary


@pytest.mark.parametrize("phase", [Phase.COMPLETE, Phase.FAILED])
def test_a_finished_run_does_not_run_again_because_its_job_was_deleted(phase: Phase) -> None:
    done = State(phase, Reason.COMPLETE, "done")
    after = plan([], [attempt(1, "complete")], finished=done)
    assert (after.state, after.due) == (done, None)


def test_a_complete_run_continues_when_its_tokens_are_increased() -> None:
    done = State(Phase.COMPLETE, Reason.COMPLETE, "done")
    progress = Progress(phase="complete", attempt=1, step=10, total_steps=10)
    after = plan([], [attempt(1, "complete")], finished=done, progress=progress)
    assert after.due == 2


def test_a_suspended_run_stops_its_attempt_uncharged_and_starts_none() -> None:
    during = plan([running()], [attempt()], suspend=True)
    assert (during.state.phase, during.delete) == (Phase.SUSPENDED, ())
    assert during.attempts[0].reason == "suspended"
    later = plan([running()], during.attempts, suspend=True)
    assert (later.state, later.attempts) == (during.state, during.attempts)
    assert later.delete == ("run-a1",)
    after = plan([], during.attempts, suspend=True)
    assert (after.due, after.state.phase) == (None, Phase.SUSPENDED)
    assert plan([], during.attempts).due == 2


def test_a_run_that_is_suspended_from_the_beginning_does_not_start() -> None:
    assert plan(suspend=True).state.phase is Phase.SUSPENDED


def test_a_job_that_is_suspended_by_its_queue_keeps_its_attempt() -> None:
    after = plan([running(1, suspended=True)], [attempt()])
    assert (after.state.phase, after.due, after.delete) == (Phase.QUEUED, None, ())


def test_a_deleted_job_is_charged_to_the_infrastructure() -> None:
    after = plan([], [attempt()])
    assert after.due == 2
    assert after.attempts[0].reason == ExitClass.INFRASTRUCTURE


def test_an_attempt_that_could_not_start_is_replaced_when_its_profile_changes() -> None:
    stuck = make_pod(0, "Pending", job="run-a1", waiting="ErrImagePull")
    job = running(1, stuck, annotations={PLACEMENT_ANNOTATION: "elsewhere"})
    after = plan([job], [attempt()])
    assert after.attempts[0].reason == "replaced"
    assert plan([job], after.attempts).delete == ("run-a1",)
    assert plan([], after.attempts).due == 2
    assert plan([running(1, annotations={})], [attempt()]).delete == ()


def test_a_user_error_fails_the_run_with_the_message_of_the_pod() -> None:
    pod = failed_pod(0, "run-a1", exit_class=ExitClass.USER_ERROR, message="spec.model.layers: 3")
    after = plan([running(1, pod, failed=True)], [attempt()])
    assert (after.state.phase, after.state.reason) == (Phase.FAILED, Reason.USER_ERROR)
    assert after.state.message.startswith("spec.model.layers: 3; to retry: ")


def test_pods_that_do_not_start_are_reported() -> None:
    stuck = make_pod(1, "Pending", job="run-a1", waiting="Unschedulable: 0/1 nodes")
    after = plan([running(1, make_pod(0, job="run-a1"), stuck)], [attempt()])
    assert after.state.reason is Reason.WAITING_FOR_PODS
    assert "Unschedulable: 0/1 nodes" in after.state.message


def test_planning_twice_gives_the_same() -> None:
    pods = [failed_pod(0, "run-a1", code=137)]
    first = plan([running(1, *pods, failed=True)], [attempt()])
    assert plan([running(1, *pods, failed=True)], first.attempts) == first


def test_a_failed_run_is_retried_when_its_annotation_changes() -> None:
    spent = [attempt(number, "userError") for number in (1, 2)]
    failed = plan(attempts=spent).state
    assert failed.phase is Phase.FAILED
    assert failed.message.endswith("pretrainjob run pretrain.dev/retry=1 --overwrite")
    assert plan(attempts=spent, finished=failed).due is None
    wanted = {RETRY_ANNOTATION: "1"}
    assert plan(attempts=spent, finished=failed, annotations=wanted).due == 3
    again = [*spent, attempt(3, "userError").model_copy(update={"retry": "1"})]
    after = plan(attempts=again, annotations=wanted)
    assert after.due is None
    assert "pretrain.dev/retry=2" in after.state.message
    restored = plan([running(3, annotations={**PLACED, **wanted})], spent, annotations=wanted)
    assert restored.attempts[-1].retry == "1"
