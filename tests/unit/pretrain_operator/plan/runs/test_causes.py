"""The root cause of the end of an attempt, whatever order its pods end and disappear in."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, at, failed_pod, make_job, make_pod
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.pretrainjob import AttemptCause
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.plan.runs.causes import find_cause

GRACE = 120


def ended(rank: int, exit_class: ExitClass, seconds: float) -> ObservedPod:
    """Return a pod that ended with a report after `seconds`."""
    pod = failed_pod(rank, exit_class=exit_class, message=f"{exit_class.value} of {rank}")
    assert pod.end is not None
    return replace(pod, end=replace(pod.end, finished_at=format_time(at(seconds))))


def deleted(pod: ObservedPod, seconds: float) -> ObservedPod:
    """Return `pod`, whose deletion was requested after `seconds`."""
    return replace(pod, deleted_by=format_time(at(seconds + GRACE)), grace_seconds=GRACE)


def cause(
    *pods: ObservedPod, seen: AttemptCause | None = None, **job: object
) -> AttemptCause | None:
    """Return the cause of the end of an attempt with these pods."""
    return find_cause(make_job("job", pods, "run", **job), seen, at(30))


PREEMPTION = AttemptCause(reason="preempted", message="pod job-1-abcde had to leave node node-1")


def test_nothing_ends_while_all_pods_run() -> None:
    assert cause(make_pod(0), make_pod(1)) is None


def test_a_pod_that_is_evicted_ends_the_attempt_before_any_container_has_ended() -> None:
    evicted = replace(deleted(make_pod(1), 0), disruption="EvictionByEvictionAPI")
    found = cause(make_pod(0), evicted)
    assert found is not None
    assert found.reason == "preempted"
    assert found.message == "pod job-1-abcde had to leave node node-1 (EvictionByEvictionAPI)"


@pytest.mark.parametrize(
    "consequence", [ExitClass.INFRASTRUCTURE, ExitClass.HANG, ExitClass.USER_ERROR]
)
def test_what_peers_report_after_a_preemption_is_its_consequence(consequence: ExitClass) -> None:
    evicted = replace(deleted(make_pod(1), 0), disruption="EvictionByEvictionAPI")
    found = cause(ended(0, consequence, 5), evicted)
    assert found is not None
    assert found.reason == "preempted"
    gone = cause(ended(0, consequence, 5), seen=PREEMPTION, failed=True)
    assert gone == PREEMPTION


def test_a_pod_that_somebody_deletes_counts_as_preempted() -> None:
    found = cause(make_pod(0), deleted(make_pod(1), 0))
    assert found is not None
    assert (found.reason, found.message) == (
        "preempted",
        "pod job-1-abcde was deleted while the attempt ran",
    )
    late = cause(
        ended(0, ExitClass.INFRASTRUCTURE, 5),
        deleted(ended(1, ExitClass.INFRASTRUCTURE, 6), 0),
        failed=True,
    )
    assert late is not None
    assert late.reason == "preempted"


def test_pods_that_the_job_controller_stops_do_not_hide_the_one_that_was_killed() -> None:
    stopped = deleted(ended(0, ExitClass.PREEMPTED, 7), 2)
    found = cause(stopped, ended(1, ExitClass.INFRASTRUCTURE, 1), failing=True)
    assert found is not None
    assert (found.reason, found.message) == ("infrastructure", "infrastructure of 1")


def test_a_peer_that_the_job_controller_deletes_does_not_replace_the_cause() -> None:
    killed = AttemptCause(reason="infrastructure", message="pod job-1-abcde ended with 137")
    stopped = deleted(make_pod(0), 2)
    assert cause(stopped, seen=killed, failing=True) == killed
    assert cause(deleted(ended(0, ExitClass.PREEMPTED, 9), 2), seen=killed, failed=True) == killed
    assert cause(deleted(ended(0, ExitClass.PREEMPTED, 9), 2), failed=True) is None


def test_a_preempted_report_explains_the_connections_that_peers_lost() -> None:
    found = cause(ended(0, ExitClass.INFRASTRUCTURE, 3), ended(1, ExitClass.PREEMPTED, 2))
    assert found is not None
    assert found.reason == "preempted"


def test_pods_of_a_job_that_its_queue_suspends_end_without_ending_the_attempt() -> None:
    stopped = deleted(ended(0, ExitClass.PREEMPTED, 3), 1)
    assert cause(stopped, seen=PREEMPTION, suspended=True) is None


def test_a_pod_on_a_node_that_does_not_answer_is_lost_as_soon_as_it_is_deleted() -> None:
    silent = make_pod(1, is_unreachable=True)
    assert cause(make_pod(0), silent) is None
    gone = replace(deleted(silent, 29), disruption="DeletionByTaintManager")
    found = cause(make_pod(0), gone)
    assert found is not None
    assert (found.reason, found.message) == (
        "infrastructure",
        "pod job-1-abcde was lost with node node-1, which does not answer",
    )
    with_peers = cause(ended(0, ExitClass.HANG, 20), gone, failing=True)
    assert with_peers == found
    wrong = cause(ended(0, ExitClass.BAD_DATA, 20), gone, failing=True)
    assert wrong is not None
    assert wrong.reason == "badData"


def test_a_root_cause_that_shows_later_replaces_its_consequence() -> None:
    seen = AttemptCause(reason="infrastructure", message="peer 1 is gone")
    assert cause(seen=seen, failed=True) == seen
    found = cause(ended(1, ExitClass.OUT_OF_MEMORY, 3), seen=seen)
    assert found is not None
    assert found.reason == "outOfMemory"
    assert cause(ended(0, ExitClass.INFRASTRUCTURE, 4), seen=found) == found


PODS = [
    ended(0, ExitClass.INFRASTRUCTURE, 5),
    replace(deleted(ended(1, ExitClass.PREEMPTED, 9), 0), disruption="PreemptionByScheduler"),
    ended(2, ExitClass.HANG, 8),
    ended(3, ExitClass.USER_ERROR, 6),
]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_preemption_is_the_cause_in_whatever_order_its_pods_disappear(
    order: tuple[int, ...],
) -> None:
    seen, left = cause(*PODS), list(PODS)
    for gone in order:
        left.remove(PODS[gone])
        seen = cause(*left, seen=seen, failing=True)
        assert seen is not None
        assert seen.reason == "preempted"


@given(st.lists(st.sampled_from(list(ExitClass)), max_size=4), st.permutations(range(4)))
def test_a_cause_that_was_seen_is_never_forgotten(
    classes: list[ExitClass], order: list[int]
) -> None:
    """Whatever pods remain, the cause stays or is replaced by one that comes before it."""
    pods = [ended(rank, one, rank) for rank, one in enumerate(classes)]
    seen = cause(*pods)
    for keep in (pods[: len(pods) // 2], [], [pods[n] for n in order if n < len(pods)]):
        after = cause(*keep, seen=seen, failed=True)
        assert after == seen


def test_the_deletion_time_of_a_pod_is_when_it_was_requested() -> None:
    assert deleted(make_pod(), 7).deleted_at == format_time(at(7))
    assert make_pod().deleted_at is None
    job: ObservedJob = make_job(pods=[deleted(make_pod(), 0)])
    assert job.pods[0].deleted_by == format_time(at(GRACE))
    assert format_time(NOW) == job.pods[0].deleted_at
