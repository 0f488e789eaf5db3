"""Why pods ended: one cause, chosen from what all pods of a Job left behind."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pretrain_api.conditions import Reason
from pretrain_api.reports import CAUSES, ExitClass
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.pods import ObservedPod

UNREPORTED = "unreported"
"""Class of a program that ended with an error and said nothing of it."""

RETRIES_PER_TASK = 3
"""How often a data task is tried again after an error, or after its node has put its pod out."""

_NODE_EVICTION = "TerminationByKubelet"
_EVICTED = "Evicted"
_PREEMPTIONS = ("PreemptionByScheduler", "EvictionByEvictionAPI", "PreemptedByKueue")
_PROGRAM = CAUSES.index(ExitClass.PROGRAM_ERROR) + 1
_ORDER = (*CAUSES[:_PROGRAM], UNREPORTED, *CAUSES[_PROGRAM:])
"""A program that says nothing has failed by itself; what comes after may be others' fault."""


@dataclass(frozen=True)
class Failure:
    """Why a pod or a Job ended before its time."""

    exit_class: str
    """Value of an `ExitClass`, or `UNREPORTED`."""
    message: str
    rank: int | None = None
    evicted: bool = False
    """Whether somebody needed the node more: then its peers' lost connections are no fault."""

    @property
    def is_final(self) -> bool:
        """Return whether only the user can help."""
        return self.exit_class in (ExitClass.USER_ERROR, ExitClass.BAD_DATA)

    @property
    def reason(self) -> Reason:
        """Return the reason of the condition that reports it."""
        reasons = {
            ExitClass.USER_ERROR.value: Reason.USER_ERROR,
            ExitClass.BAD_DATA.value: Reason.BAD_DATA,
            ExitClass.OUT_OF_MEMORY.value: Reason.OUT_OF_MEMORY,
        }
        return reasons.get(self.exit_class, Reason.STAGE_FAILED)


def pod_failure(pod: ObservedPod) -> Failure | None:
    """Return why `pod` failed; `None` if it did not (yet)."""
    if pod.disruption in _PREEMPTIONS:
        message = f"pod {pod.name} had to leave node {pod.node} ({pod.disruption})"
        return Failure(ExitClass.PREEMPTED, message, pod.rank, evicted=True)
    if pod.end is not None:
        return None if pod.end.exit_code == 0 else _container_failure(pod)
    if pod.phase != "Failed":
        return None
    why = ": ".join(part for part in (pod.reason or pod.disruption, pod.message) if part)
    message = f"pod {pod.name} was lost with node {pod.node}" + (f" ({why})" if why else "")
    return Failure(ExitClass.INFRASTRUCTURE, message, pod.rank)


def _container_failure(pod: ObservedPod) -> Failure:
    end = pod.end
    assert end is not None
    if end.reason == "OOMKilled":
        said = "the container needed more memory than its limit (OOMKilled)"
        return Failure(ExitClass.OUT_OF_MEMORY, said, pod.rank)
    if end.report is not None:
        message = end.report.message or f"ended with class {end.report.exit_class.value}"
        return Failure(end.report.exit_class.value, message, pod.rank)
    left = f"; its last line: {end.last_line}" if end.last_line else ""
    message = f"pod {pod.name} ended with exit code {end.exit_code} ({end.reason or 'Error'}){left}"
    codes = {known.exit_code: known.value for known in ExitClass if known.is_final}
    if end.exit_code in codes:
        return Failure(codes[end.exit_code], message, pod.rank)
    killed = end.exit_code > 128 or pod.disruption != ""
    return Failure(ExitClass.INFRASTRUCTURE if killed else UNREPORTED, message, pod.rank)


def most_informative(pods: Iterable[ObservedPod]) -> Failure | None:
    """Return the failure that explains the others best; `None` if no pod failed."""
    failures = [failure for pod in pods if (failure := pod_failure(pod))]
    if not failures:
        return None
    has_eviction = any(failure.evicted for failure in failures)

    def rank(failure: Failure) -> tuple[int, int]:
        order = _ORDER.index(failure.exit_class) if failure.exit_class in _ORDER else len(_ORDER)
        collateral = (ExitClass.INFRASTRUCTURE, ExitClass.HANG, UNREPORTED)
        if has_eviction and failure.exit_class in collateral:
            order = len(_ORDER)
        return order, failure.rank or 0

    return min(failures, key=rank)


def job_failure(job: ObservedJob) -> Failure:
    """Return why `job` failed, from its pods or, if they are gone, from its own condition."""
    failure = most_informative(job.pods)
    if failure is not None:
        return failure
    said = ": ".join(part for part in (job.failure_reason, job.failure_message) if part)
    return Failure(ExitClass.INFRASTRUCTURE, f"Job {job.name} failed ({said or 'no reason'})")


def _took_too_much(pod: ObservedPod) -> bool:
    """Return whether a node put `pod` out for what it took.

    Of a node that shuts down (`Terminated`), or that makes room for a more important pod
    (`Preempting`), the condition says the same; the reason of the pod does not.
    """
    return pod.is_over and pod.disruption == _NODE_EVICTION and pod.reason == _EVICTED


def eviction_failure(job: ObservedJob) -> Failure | None:
    """Return what is wrong if one task of `job` has been put out by its nodes again and again.

    Kubernetes repeats a disrupted pod as often as need be, ever more seldom. That is right for
    preemptions; a node puts out pods that take too much of it, and will do so again.
    """
    evicted = [pod for pod in job.pods if _took_too_much(pod)]
    times = Counter(pod.rank for pod in evicted)
    worst = max(times, key=lambda rank: (times[rank], -rank), default=None)
    if worst is None or times[worst] <= RETRIES_PER_TASK:
        return None
    said = next((pod.message for pod in evicted if pod.rank == worst and pod.message), "")
    message = f"nodes have evicted its pod {times[worst]} times" + (f": {said}" if said else "")
    message += "; raise spec.pods.data.memory or .scratch of the ComputeProfile, or spec.tasks"
    return Failure(ExitClass.INFRASTRUCTURE, message, worst)
