"""Why a Job failed: the root cause, chosen from how all its pods ended."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pretrain_api.conditions import Reason
from pretrain_api.reports import CAUSES, ExitClass
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.pods import ObservedPod

UNREPORTED = "unreported"
"""Class of a program that ended with an error and left no report."""

RETRIES_PER_TASK = 3
"""How often a data task is retried after an error, or after its node has evicted its pod."""

_PREEMPTIONS = (
    "PreemptionByScheduler",
    "EvictionByEvictionAPI",
    "PreemptedByKueue",
    "DeletionByTaintManager",
    "TerminationByKubelet",
)
"""Reasons why a pod has to leave a node that works: a critical pod, a drain, a shutdown."""

_NODE_EVICTION = "TerminationByKubelet"
_EVICTED = "Evicted"
_FINAL = {final.value for final in ExitClass if final.is_final}
_PROGRAM = CAUSES.index(ExitClass.PROGRAM_ERROR) + 1
_ORDER = (*CAUSES[:_PROGRAM], UNREPORTED, *CAUSES[_PROGRAM:])
"""Classes from root cause to consequence: a program that leaves no report has failed by itself, and
the classes after it may be consequences of another pod's failure."""

_REASONS = {
    ExitClass.USER_ERROR.value: Reason.USER_ERROR,
    ExitClass.BAD_DATA.value: Reason.BAD_DATA,
    ExitClass.OUT_OF_MEMORY.value: Reason.OUT_OF_MEMORY,
}


@dataclass(frozen=True)
class Failure:
    """Why a pod or a Job failed."""

    exit_class: str
    """Value of an `ExitClass`, or `UNREPORTED`."""
    message: str
    rank: int | None = None
    node: str | None = None
    """The node that is to blame: the pod was lost or killed there, and its program did not say
    why. `None` means that none is."""

    @property
    def is_final(self) -> bool:
        """Return whether a retry is useless until the user changes something."""
        return is_final(self.exit_class)

    @property
    def reason(self) -> Reason:
        """Return the reason of the condition that reports the failure."""
        return condition_reason(self.exit_class)


def is_final(exit_class: str) -> bool:
    """Return whether a retry is useless until the user changes something."""
    return exit_class in _FINAL


def condition_reason(exit_class: str) -> Reason:
    """Return the reason of the condition that reports an end of this class."""
    return _REASONS.get(exit_class, Reason.STAGE_FAILED)


def pod_failure(pod: ObservedPod) -> Failure | None:
    """Return why `pod` failed; `None` if it has not failed."""
    if _is_evicted_for_usage(pod):
        message = f"node {pod.node} has evicted pod {pod.name}: {pod.message or 'no reason given'}"
        return Failure(ExitClass.INFRASTRUCTURE, message, pod.rank, pod.node)
    if pod.disruption in _PREEMPTIONS and not pod.is_unreachable:
        why = ": ".join(part for part in (pod.reason or pod.disruption, pod.message) if part)
        message = f"pod {pod.name} had to leave node {pod.node} ({why})"
        return Failure(ExitClass.PREEMPTED, message, pod.rank)
    if pod.end is not None:
        return None if pod.end.exit_code == 0 else _container_failure(pod)
    if pod.phase != "Failed":
        return None
    why = ": ".join(part for part in (pod.reason or pod.disruption, pod.message) if part)
    message = f"pod {pod.name} was lost with node {pod.node}" + (f" ({why})" if why else "")
    return Failure(ExitClass.INFRASTRUCTURE, message, pod.rank, pod.node)


def _container_failure(pod: ObservedPod) -> Failure:
    end = pod.end
    assert end is not None
    if end.reason == "OOMKilled":
        message = "the container needed more memory than its limit (OOMKilled)"
        return Failure(ExitClass.OUT_OF_MEMORY, message, pod.rank)
    if end.report is not None:
        message = end.report.message or f"ended with class {end.report.exit_class.value}"
        return Failure(end.report.exit_class.value, message, pod.rank)
    message = f"pod {pod.name} ended with exit code {end.exit_code} ({end.reason or 'Error'})"
    message += f"; its last line: {end.last_line}" if end.last_line else ""
    codes = {final.exit_code: final.value for final in ExitClass if final.is_final}
    if end.exit_code in codes:
        return Failure(codes[end.exit_code], message, pod.rank)
    if end.exit_code > 128 or pod.disruption:
        return Failure(ExitClass.INFRASTRUCTURE, message, pod.rank, pod.node)
    return Failure(UNREPORTED, message, pod.rank)


def most_informative(failures: Iterable[Failure]) -> Failure | None:
    """Return the failure that is most likely the root cause; the first of equals."""

    def order(failure: Failure) -> tuple[int, int]:
        place = _ORDER.index(failure.exit_class) if failure.exit_class in _ORDER else len(_ORDER)
        return place, failure.rank or 0

    return min(failures, key=order, default=None)


def first_failure(job: ObservedJob) -> Failure | None:
    """Return the failure of a pod of `job` that is most likely the root cause."""
    return most_informative(failure for pod in job.pods if (failure := pod_failure(pod)))


def job_failure(job: ObservedJob) -> Failure:
    """Return why `job` failed: from its pods or, without any, from its own condition."""
    failure = first_failure(job)
    if failure is not None:
        return failure
    if job.failure_reason == "PodFailurePolicy" and "DisruptionTarget" in job.failure_message:
        message = f"a pod of Job {job.name} had to leave its node ({job.failure_message})"
        return Failure(ExitClass.PREEMPTED, message)
    why = ": ".join(part for part in (job.failure_reason, job.failure_message) if part)
    return Failure(ExitClass.INFRASTRUCTURE, f"Job {job.name} failed ({why or 'no reason'})")


def _is_evicted_for_usage(pod: ObservedPod) -> bool:
    """Return whether a node evicted `pod` for its resource usage.

    The condition is the same when the node shuts down (pod reason `Terminated`) or makes room for
    a critical pod (`Preempting`); only the reason of the pod differs.
    """
    return pod.is_over and pod.disruption == _NODE_EVICTION and pod.reason == _EVICTED


def eviction_failure(job: ObservedJob) -> Failure | None:
    """Return a failure if nodes have evicted one task of `job` too often for its resource usage.

    Kubernetes retries a disrupted pod without limit, with backoff. That is right for preemptions,
    but a pod that uses too much of a node will be evicted from the next one, too.
    """
    evicted = [pod for pod in job.pods if _is_evicted_for_usage(pod)]
    evictions = Counter(pod.rank for pod in evicted)
    worst = max(evictions, key=lambda rank: (evictions[rank], -rank), default=None)
    if worst is None or evictions[worst] <= RETRIES_PER_TASK:
        return None
    why = next((pod.message for pod in evicted if pod.rank == worst and pod.message), "")
    message = f"nodes have evicted its pod {evictions[worst]} times" + (f": {why}" if why else "")
    message += "; raise spec.pods.data.memory or .scratch of the ComputeProfile, or spec.tasks"
    return Failure(ExitClass.INFRASTRUCTURE, message, worst)
