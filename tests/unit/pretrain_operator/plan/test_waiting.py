from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, at, make_job, make_pod, succeeded_pod
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.events import ObservedEvent, parse_event
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.plan.waiting import (
    PATIENCE_SECONDS,
    creation_refusal,
    is_between_tasks,
    lacks_pods,
    missing_pods_seconds,
    waiting_reason,
)

QUOTA = "exceeded quota: tight, requested: pods=1, used: pods=0, limited: pods=0"


def job_since(seconds: float, **changes: Any) -> Any:
    """Return a Job that started `seconds` ago."""
    return make_job(started_at=format_time(at(-seconds)), **changes)


def test_only_a_pod_that_has_not_started_has_a_waiting_reason() -> None:
    waiting = make_pod(1, "Pending", waiting="ContainerCreating: a moment")
    assert waiting_reason(make_job(pods=[make_pod(0), waiting])) == (
        "pod job-1-abcde does not start: ContainerCreating: a moment"
    )
    assert waiting_reason(make_job(pods=[make_pod(0)])) == ""


@pytest.mark.parametrize(
    ("obstacle", "remedy"),
    [
        pytest.param("Unschedulable: 0/1: 1 Insufficient nvidia.com/gpu.", "free or add nodes"),
        pytest.param(
            "Unschedulable: 0/1: 1 node(s) didn't match Pod's node affinity/selector.",
            "spec.pods.nodeSelector",
        ),
        pytest.param(
            "Unschedulable: 0/1: 1 node(s) had untolerated taint {a: b}.", "spec.pods.tolerations"
        ),
        pytest.param(
            'Unschedulable: persistentvolumeclaim "shared" not found', "spec.pods.volumes"
        ),
        pytest.param("ErrImagePull: no such image", "spec.images of the ComputeProfile"),
        pytest.param("InvalidImageName: x y", "spec.images of the ComputeProfile"),
        pytest.param(
            "CreateContainerConfigError: container has runAsNonRoot and image will run as root",
            "USER other than 0",
        ),
    ],
)
def test_a_waiting_pod_is_reported_with_the_remedy(obstacle: str, remedy: str) -> None:
    message = waiting_reason(make_job(pods=[make_pod(0, "Pending", waiting=obstacle)]))
    assert message.startswith(f"pod job-0-abcde does not start: {obstacle}; ")
    assert remedy in message.removeprefix(f"pod job-0-abcde does not start: {obstacle}")


@pytest.mark.parametrize(
    ("obstacle", "remedy"),
    [
        (f"forbidden: {QUOTA}", "raise the ResourceQuota"),
        ("forbidden: failed quota: q: must specify memory for: main", "spec.pods.data"),
        ('forbidden: violates PodSecurity "baseline:latest": hostPath', "enforce"),
        (
            'forbidden: error looking up service account a/b: serviceaccount "b" not found',
            "spec.pods.serviceAccountName",
        ),
        ("forbidden: no PriorityClass with name x was found", "spec.pods.priorityClassName"),
        ("forbidden: maximum memory usage per Container is 1Gi, but limit is 4Gi", "LimitRange"),
    ],
)
def test_pods_that_cannot_be_created_are_reported_with_the_remedy(
    obstacle: str, remedy: str
) -> None:
    message = waiting_reason(make_job(refusal=obstacle))
    assert message.startswith(f"Job job cannot create pods: {obstacle}; ")
    assert remedy in message


@pytest.mark.parametrize(
    ("job", "lacks"),
    [
        pytest.param(job_since(60), True, id="no pod at all"),
        pytest.param(job_since(1), False, id="a Job that has just started"),
        pytest.param(job_since(60, pods=[make_pod(0)]), False, id="all pods exist"),
        pytest.param(
            job_since(60, pods=[make_pod(0)], completions=2, parallelism=2), True, id="one of two"
        ),
        pytest.param(
            job_since(60, pods=[make_pod(0, "Failed")], completions=1), True, id="not replaced yet"
        ),
        pytest.param(
            job_since(60, pods=[make_pod(0)], completions=9, parallelism=1),
            False,
            id="one after the other",
        ),
        pytest.param(
            job_since(60, completions=2, parallelism=2, succeeded=2), False, id="nothing left to do"
        ),
        pytest.param(job_since(60, suspended=True), False, id="suspended"),
        pytest.param(job_since(60, deleting=True), False, id="being deleted"),
        pytest.param(job_since(60, failed=True), False, id="failed"),
        pytest.param(job_since(60, failing=True), False, id="failing"),
        pytest.param(make_job(started_at=None), False, id="not started yet"),
    ],
)
def test_a_job_lacks_pods_when_they_were_not_created_in_time(job: Any, lacks: bool) -> None:
    assert lacks_pods(job, NOW) is lacks


def test_the_requeue_delay_for_missing_pods_grows_with_the_age_of_the_job() -> None:
    ages = (0, 60, 6000)
    waits = [missing_pods_seconds([job_since(age)], NOW) for age in ages]
    assert waits == [PATIENCE_SECONDS, 60, 120]
    assert missing_pods_seconds([job_since(60, pods=[make_pod(0)])], NOW) is None


def ended_pod(seconds: float) -> ObservedPod:
    """Return a pod that succeeded `seconds` ago."""
    pod = succeeded_pod()
    assert pod.end is not None
    return replace(pod, end=replace(pod.end, finished_at=format_time(at(-seconds))))


PENDING = make_pod(1, "Pending", waiting="Unschedulable: 0/1: 1 Insufficient cpu.")


@pytest.mark.parametrize(
    ("pods", "want", "requeue_after"),
    [
        pytest.param([PENDING], False, None, id="none has ever run"),
        pytest.param([make_pod(), PENDING], True, None, id="one runs"),
        pytest.param([ended_pod(10), ended_pod(90), PENDING], True, 20, id="one has just ended"),
        pytest.param([ended_pod(30), PENDING], False, None, id="the last one ended a while ago"),
    ],
)
def test_a_job_with_pending_pods_is_between_tasks_for_a_while_after_the_last_one_ended(
    pods: list[ObservedPod], want: bool, requeue_after: float | None
) -> None:
    job = job_since(600, pods=pods, completions=9, succeeded=2)
    assert is_between_tasks(job, NOW) is want
    assert missing_pods_seconds([job], NOW) == requeue_after


def refused(seconds: float, message: str = QUOTA) -> ObservedEvent:
    text = f'Error creating: pods "job-0-abcde" is forbidden: {message}'
    return ObservedEvent("FailedCreate", text, at(seconds))


def aggregated(seconds: float) -> ObservedEvent:
    one = refused(seconds)
    return replace(one, message=f"(combined from similar events): {one.message}")


CREATED = ObservedEvent("SuccessfulCreate", "Created pod: job-0-abcde", NOW)


@pytest.mark.parametrize(
    ("events", "want"),
    [
        pytest.param([], "", id="no events"),
        pytest.param([refused(0)], f"forbidden: {QUOTA}", id="refused"),
        pytest.param([refused(9, "new"), refused(0)], "forbidden: new", id="the newest"),
        pytest.param([aggregated(0)], f"forbidden: {QUOTA}", id="a combined event"),
        pytest.param([refused(-1), CREATED], "", id="created later"),
        pytest.param([refused(0), CREATED], f"forbidden: {QUOTA}", id="in the same second"),
        pytest.param([ObservedEvent("SuccessfulDelete", "x", NOW)], "", id="another event"),
    ],
)
def test_the_newest_event_about_a_creation_counts(events: list[ObservedEvent], want: str) -> None:
    assert creation_refusal(events) == want


@pytest.mark.parametrize(
    ("times", "want"),
    [
        ({"lastTimestamp": "2026-01-02T03:04:05Z", "eventTime": None}, NOW),
        ({"lastTimestamp": None, "eventTime": "2026-01-02T03:04:05.000000Z"}, NOW),
        (
            {
                "eventTime": "2026-01-01T00:00:00.000000Z",
                "series": {"lastObservedTime": "2026-01-02T03:04:05.000000Z"},
            },
            NOW,
        ),
    ],
)
def test_the_time_of_an_event_is_its_last_occurrence(times: dict[str, Any], want: Any) -> None:
    body = {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "reason": "R", **times}
    assert parse_event(body) == ObservedEvent("R", "", want)
