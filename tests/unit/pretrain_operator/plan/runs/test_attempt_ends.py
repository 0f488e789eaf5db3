"""What an attempt ended of, as its Job, its pods and the user's wishes show it."""

from dataclasses import replace
from typing import Any

import pytest

from builders import (
    NOW,
    at,
    complete_job,
    failed_pod,
    make_job,
    make_observed_run,
    make_pod,
    parsed_run,
    succeeded_pod,
)
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, PretrainJobStatus
from pretrain_api.v1alpha1.progress import TrainingSummary
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.plan.runs.attempt_ends import final_report, observe_attempts

RUNNING = AttemptStatus(number=2, job="run-a2")
STARTED = "2026-01-02T03:00:00Z"


def job(**changes: Any) -> ObservedJob:
    """Return the Job of the second attempt, which runs."""
    pods = [make_pod(rank, job="run-a2") for rank in range(2)]
    return replace(make_job("run-a2", pods, attempt=2, completions=2), **changes)


def observe(*jobs: ObservedJob, suspend: bool = False, seconds: float = 0) -> AttemptStatus:
    """Return the second attempt of a run with these Jobs, whose status says that it runs."""
    run = make_observed_run(
        spec=parsed_run(suspend=suspend),
        status=PretrainJobStatus(attempts=[RUNNING]),
        jobs=jobs,
    )
    (attempt,) = observe_attempts(run, at(seconds))
    return attempt


def test_a_running_attempt_has_the_start_of_its_job() -> None:
    assert observe(job()) == RUNNING.model_copy(update={"started_at": STARTED})
    waiting = job(started_at=None, created_at="2026-01-02T02:59:00Z")
    assert observe(waiting).started_at == "2026-01-02T02:59:00Z"


def test_a_job_that_is_deleted_while_it_runs_was_lost_unless_the_user_holds_the_run() -> None:
    lost = observe(job(deleting=True))
    assert (lost.reason, lost.message) == ("infrastructure", "its Job run-a2 was deleted")
    held = observe(job(deleting=True), suspend=True)
    assert (held.reason, held.ended_at) == ("suspended", format_time(NOW))


@pytest.mark.parametrize("deleting", [False, True])
def test_an_end_counts_although_the_finished_job_is_being_deleted(deleting: bool) -> None:
    done = complete_job("run-a2", [succeeded_pod(0), succeeded_pod(1)], attempt=2)
    complete = observe(replace(done, deleting=deleting))
    assert (complete.reason, complete.ended_at) == ("complete", "2026-01-02T03:01:00Z")
    preempted = make_pod(0, "Failed", disruption="PreemptionByScheduler")
    ended = observe(job(failed=True, deleting=deleting, pods=(preempted,)))
    assert ended.reason == "preempted"


def test_a_failing_job_ends_when_only_pods_of_silent_nodes_are_left() -> None:
    dead = failed_pod(0, "run-a2", exit_class=ExitClass.HANG, message="no step for 600 s")
    silent = make_pod(1, job="run-a2", deleted_by=format_time(NOW))
    failing = job(failing=True, pods=(dead, silent))
    assert observe(failing, seconds=30).reason is None
    ended = observe(failing, seconds=31)
    assert (ended.reason, ended.message) == ("hang", "no step for 600 s")
    assert ended.ended_at == format_time(at(31))
    assert observe(job(failing=True, pods=(dead, make_pod(1))), seconds=3600).reason is None


def test_a_job_of_an_attempt_that_the_status_has_dropped_is_not_read_again() -> None:
    old = make_job("run-a1", attempt=1, failed=True)
    assert observe(old, job()).number == 2


@pytest.mark.parametrize(
    ("reports", "want"),
    [
        pytest.param([{}, {"training": TrainingSummary(to_step=7)}], 1, id="one that has trained"),
        pytest.param([{}, {}], 0, id="pod 0 if none says more"),
    ],
)
def test_the_report_of_a_run_is_the_one_that_says_most(
    reports: list[dict[str, Any]], want: int
) -> None:
    pods = [succeeded_pod(rank, **report) for rank, report in enumerate(reports)]
    report = final_report(complete_job("run-a2", pods[::-1]))
    assert report is not None
    assert report.rank == want
    assert final_report(None) is None
    assert final_report(make_job(pods=[make_pod()])) is None
