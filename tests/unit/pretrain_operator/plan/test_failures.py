import pytest

from builders import failed_pod, make_job, make_pod
from pretrain_api.conditions import Reason
from pretrain_api.reports import ExitClass
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.plan.failures import (
    UNREPORTED,
    job_failure,
    most_informative,
    pod_failure,
)

LOST = make_pod(1, "Failed", reason="NodeLost", message="node went away")
PREEMPTED = make_pod(1, "Failed", disruption="PreemptionByScheduler")


@pytest.mark.parametrize(
    ("pod", "want"),
    [
        (failed_pod(exit_class=ExitClass.BAD_DATA, message="a.gz is cut"), ExitClass.BAD_DATA),
        (failed_pod(code=65), ExitClass.BAD_DATA),
        (failed_pod(code=137, reason="OOMKilled"), ExitClass.OUT_OF_MEMORY),
        (failed_pod(code=137), ExitClass.INFRASTRUCTURE),
        (failed_pod(code=1), UNREPORTED),
        (LOST, ExitClass.INFRASTRUCTURE),
        (PREEMPTED, ExitClass.PREEMPTED),
    ],
)
def test_a_failed_pod_has_one_class(pod: ObservedPod, want: str) -> None:
    failure = pod_failure(pod)
    assert failure is not None
    assert failure.exit_class == want


@pytest.mark.parametrize(
    "pod", [make_pod(), make_pod(phase="Succeeded"), make_pod(phase="Pending")]
)
def test_a_pod_that_did_not_fail_has_no_failure(pod: ObservedPod) -> None:
    assert pod_failure(pod) is None


def test_a_user_error_explains_the_connections_that_other_pods_lost() -> None:
    consequence = failed_pod(0, exit_class=ExitClass.INFRASTRUCTURE, message="peer is gone")
    cause = failed_pod(1, exit_class=ExitClass.USER_ERROR, message="spec.model: too large")
    failure = most_informative([consequence, cause])
    assert failure is not None
    assert (failure.rank, failure.message) == (1, "spec.model: too large")


def test_a_preempted_pod_explains_the_connections_that_other_pods_lost() -> None:
    consequence = failed_pod(0, exit_class=ExitClass.INFRASTRUCTURE, message="peer is gone")
    failure = most_informative([consequence, PREEMPTED])
    assert failure is not None
    assert failure.exit_class == ExitClass.PREEMPTED


def test_terminated_pods_do_not_hide_the_one_that_was_killed() -> None:
    terminated = failed_pod(0, exit_class=ExitClass.PREEMPTED, message="stopped by SIGTERM")
    failure = most_informative([terminated, failed_pod(1, code=137)])
    assert failure is not None
    assert failure.exit_class == ExitClass.INFRASTRUCTURE


def test_a_job_without_pods_fails_with_the_message_of_its_condition() -> None:
    job = make_job(failed=True, failure_reason="BackoffLimitExceeded", failure_message="too often")
    assert job_failure(job).message == "Job job failed (BackoffLimitExceeded: too often)"


def test_a_program_without_a_report_fails_with_its_exit_code() -> None:
    pod = failed_pod(code=1)
    failure = pod_failure(pod)
    assert failure is not None
    assert failure.message == "pod job-0-abcde ended with exit code 1 (Error)"
    assert failure.reason is Reason.STAGE_FAILED
