from dataclasses import replace

import pytest

from builders import failed_pod, make_job, make_pod
from pretrain_api.conditions import Reason
from pretrain_api.reports import ExitClass
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.plan.failures import (
    UNREPORTED,
    first_failure,
    job_failure,
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
    failure = first_failure(make_job(pods=[consequence, cause]))
    assert failure is not None
    assert (failure.rank, failure.message) == (1, "spec.model: too large")


def test_tasks_are_independent_so_a_preempted_one_does_not_explain_another_ones_failure() -> None:
    failure = first_failure(make_job(pods=[failed_pod(0, code=1), PREEMPTED]))
    assert failure is not None
    assert failure.exit_class == UNREPORTED


def test_a_node_that_evicts_a_pod_says_why_and_the_exit_code_does_not_hide_it() -> None:
    words = "The node was low on resource: memory. Threshold quantity: 100Mi."
    evicted = replace(
        failed_pod(1, code=137),
        reason="Evicted",
        message=words,
        disruption="TerminationByKubelet",
    )
    failure = pod_failure(evicted)
    assert failure is not None
    assert failure.exit_class == ExitClass.INFRASTRUCTURE
    assert failure.message == f"node node-1 has evicted pod job-1-abcde: {words}"


@pytest.mark.parametrize("reason", ["Terminated", "Preempting"])
def test_a_node_that_shuts_down_or_makes_room_preempts_its_pods(reason: str) -> None:
    pod = replace(failed_pod(1, code=137), reason=reason, disruption="TerminationByKubelet")
    failure = pod_failure(pod)
    assert failure is not None
    assert failure.exit_class == ExitClass.PREEMPTED
    assert failure.message == f"pod job-1-abcde had to leave node node-1 ({reason})"


def test_a_job_whose_disrupted_pods_are_gone_still_tells_that_they_were() -> None:
    words = "Pod default/run-a1-0-x has condition DisruptionTarget matching FailJob rule at index 0"
    job = make_job(failed=True, failure_reason="PodFailurePolicy", failure_message=words)
    assert job_failure(job).exit_class == ExitClass.PREEMPTED
    assert words in job_failure(job).message


def test_a_job_without_pods_fails_with_the_message_of_its_condition() -> None:
    job = make_job(failed=True, failure_reason="BackoffLimitExceeded", failure_message="too often")
    assert job_failure(job).message == "Job job failed (BackoffLimitExceeded: too often)"


def test_a_program_without_a_report_fails_with_its_exit_code() -> None:
    pod = failed_pod(code=1)
    failure = pod_failure(pod)
    assert failure is not None
    assert failure.message == "pod job-0-abcde ended with exit code 1 (Error)"
    assert failure.reason is Reason.STAGE_FAILED
