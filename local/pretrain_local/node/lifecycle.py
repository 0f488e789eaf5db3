"""Decides which containers of a pod start now, and when the whole pod must stop. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pretrain_local.node.api.pods import Container, Pod
from pretrain_local.node.runtime.attempts import Attempt

FIRST_BACKOFF_SECONDS = 10.0
MAX_BACKOFF_SECONDS = 300.0
"""As a kubelet: the first restart is immediate, then the backoff doubles each time."""


@dataclass(frozen=True)
class ContainerStart:
    """A container to start now."""

    container: Container
    number: int
    """Number of the attempt."""


@dataclass(frozen=True)
class StartPlan:
    """Which containers start now, and which restart later."""

    starts: tuple[ContainerStart, ...] = ()
    backoffs: Mapping[str, float] = field(default_factory=dict)
    """Seconds until a container may restart, by its name."""


@dataclass(frozen=True)
class PodTermination:
    """Why the node stops all containers of a pod and starts none again."""

    reason: str = ""
    """Reason in the pod's status; empty if the pod is deleted or finished."""
    message: str = ""


def plan_termination(pod: Pod, start_time: datetime, now: datetime) -> PodTermination | None:
    """Return why `pod` must stop, or None if it may run."""
    if pod.metadata.deletion_timestamp is not None or pod.is_finished:
        return PodTermination()
    remaining = seconds_to_deadline(pod, start_time, now)
    if remaining is not None and remaining <= 0:
        message = "Pod was active on the node longer than the specified deadline"
        return PodTermination("DeadlineExceeded", message)
    return None


def seconds_to_deadline(pod: Pod, start_time: datetime, now: datetime) -> float | None:
    """Return the seconds that remain of `activeDeadlineSeconds`; None means no limit."""
    if pod.spec.active_deadline_seconds is None:
        return None
    return pod.spec.active_deadline_seconds - (now - start_time).total_seconds()


def plan_starts(pod: Pod, attempts: Mapping[str, Attempt | None], now: datetime) -> StartPlan:
    """Return which containers of `pod` to start, given the latest attempt of each.

    Init containers run one after another, and each must succeed before the next.
    """
    for container in pod.spec.init_containers:
        attempt = attempts[container.name]
        if attempt is None or attempt.exit is None or attempt.exit.code != 0:
            policy = "Never" if pod.spec.restart_policy == "Never" else "OnFailure"
            return _plan([container], attempts, policy, now)
    return _plan(pod.spec.containers, attempts, pod.spec.restart_policy, now)


def _plan(
    containers: list[Container], attempts: Mapping[str, Attempt | None], policy: str, now: datetime
) -> StartPlan:
    starts, backoffs = [], {}
    for container in containers:
        attempt = attempts[container.name]
        if attempt is None:
            starts.append(ContainerStart(container, 0))
        elif attempt.exit is not None and restarts(policy, attempt.exit.code):
            elapsed = (now - attempt.exit.finished_at).total_seconds()
            remaining = backoff_seconds(attempt.number) - elapsed
            if remaining > 0:
                backoffs[container.name] = remaining
            else:
                starts.append(ContainerStart(container, attempt.number + 1))
    return StartPlan(tuple(starts), backoffs)


def restarts(policy: str, code: int) -> bool:
    """Return whether a container that exited with `code` is restarted."""
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def backoff_seconds(number: int) -> float:
    """Return the time between the end of attempt `number` and the start of the next one."""
    if number == 0:
        return 0.0
    # Limited before the power, which overflows for a container that restarts for months.
    doublings = min(number - 1, 10)
    return min(FIRST_BACKOFF_SECONDS * 2.0**doublings, MAX_BACKOFF_SECONDS)
