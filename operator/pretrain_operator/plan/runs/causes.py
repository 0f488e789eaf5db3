"""Why an attempt ends: the root cause among all that its pods show and have shown.

Unlike the tasks of a stage, the pods of an attempt cannot continue without each other: when one
leaves, the others end too, and what they report then is a consequence.
"""

from collections.abc import Sequence
from datetime import datetime

from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.pretrainjob import AttemptCause
from pretrain_operator.observed.clock import read_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.plan.failures import (
    UNREPORTED,
    Failure,
    job_failure,
    most_informative,
    pod_failure,
)

_CONSEQUENCES = (ExitClass.INFRASTRUCTURE, ExitClass.HANG, UNREPORTED)
"""What the peers of a pod that is gone report."""

_MAX_MESSAGE = 600


def find_cause(job: ObservedJob, seen: AttemptCause | None, now: datetime) -> AttemptCause | None:
    """Return why the attempt of `job` ends; `None` if nothing shows that it does.

    Args:
        job: Its Job, with the pods that are left.
        seen: The cause so far. It is never forgotten, only replaced by one that explains it.
        now: A pod is lost some time after its deletion.
    """
    if job.suspended:
        return None  # by its queue: the same attempt goes on later
    if seen is not None and seen.reason == ExitClass.PREEMPTED:
        return seen
    preemption = _disruption(job.pods) or (_deletion(job) if seen is None else None)
    if preemption is not None:
        return _cause(preemption)
    failure = most_informative(_failures(job))
    if lost := next((pod for pod in job.pods if pod.is_lost(now)), None):
        # Its node may as well have died after the end of a peer, unless the cluster says so.
        is_explained = failure is not None and failure.exit_class in _CONSEQUENCES
        if failure is None or (is_explained and lost.is_unreachable):
            return _cause(_loss(lost))
    if failure is None or seen is None:
        return seen if failure is None else _cause(failure)
    before = Failure(seen.reason, seen.message, rank=-1)
    return seen if most_informative([before, failure]) is before else _cause(failure)


def end_cause(job: ObservedJob, seen: AttemptCause | None) -> AttemptCause:
    """Return why the attempt of a failed `job` has ended: by its own condition if need be."""
    return seen or _cause(job_failure(job))


def _cause(failure: Failure) -> AttemptCause:
    message = failure.message[:_MAX_MESSAGE]
    return AttemptCause(reason=failure.exit_class, message=message, node=failure.node)


def _disruption(pods: Sequence[ObservedPod]) -> Failure | None:
    """Return that of a pod which had to leave its node, or was told to end by something else."""
    for pod in pods:
        failure = pod_failure(pod)
        is_preempted = failure is not None and failure.exit_class == ExitClass.PREEMPTED
        if is_preempted and (pod.disruption or not pod.deleting):
            return failure
    return None


def _deletion(job: ObservedJob) -> Failure | None:
    """Return that of a pod which somebody deleted while the attempt ran.

    The Job controller, too, deletes the peers of a pod that has failed, but after its end.
    """
    is_by_job = job.failing or job.deleting or job.is_finished
    for pod in job.pods:
        deleted_at = read_time(pod.deleted_at)
        if deleted_at is None or pod.is_unreachable:
            continue
        first_end = _first_end([peer for peer in job.pods if peer is not pod])
        if deleted_at < first_end if first_end else not is_by_job:
            message = f"pod {pod.name} was deleted while the attempt ran"
            return Failure(ExitClass.PREEMPTED, message, pod.rank)
    return None


def _first_end(pods: Sequence[ObservedPod]) -> datetime | None:
    """Return when the first of the pods that failed has ended."""
    ends = [read_time(pod.end.finished_at) for pod in pods if pod.end and pod_failure(pod)]
    return min((end for end in ends if end is not None), default=None)


def _failures(job: ObservedJob) -> list[Failure]:
    """Return the failures of pods, without those that were stopped because a peer had failed."""
    failures = [failure for pod in job.pods if (failure := pod_failure(pod))]
    return [failure for failure in failures if failure.exit_class != ExitClass.PREEMPTED]


def _loss(pod: ObservedPod) -> Failure:
    message = f"pod {pod.name} was lost with node {pod.node}, which does not answer"
    return Failure(ExitClass.INFRASTRUCTURE, message, pod.rank, pod.node)
