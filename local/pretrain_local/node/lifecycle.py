"""What a node shall do next about a pod, decided from what is observed. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pretrain_local.node.api.pods import Container, Pod
from pretrain_local.node.runtime.attempts import Attempt

FIRST_BACK_OFF_SECONDS = 10.0
LONGEST_BACK_OFF_SECONDS = 300.0
"""A kubelet's: the first restart is at once, later ones wait twice as long each time."""


@dataclass(frozen=True)
class Start:
    """A container that shall be started now."""

    container: Container
    number: int


@dataclass(frozen=True)
class Steps:
    """What to do now, and what is waited for."""

    starts: tuple[Start, ...] = ()
    back_offs: Mapping[str, float] = field(default_factory=dict)
    """Seconds until a container may start again, by its name."""


def plan_steps(pod: Pod, attempts: Mapping[str, Attempt | None], now: datetime) -> Steps:
    """Return which containers of `pod` to start.

    Init containers run one after another, and each must succeed before the next.
    """
    for container in pod.spec.init_containers:
        attempt = attempts[container.name]
        if attempt is None or attempt.exit is None or attempt.exit.code != 0:
            policy = "Never" if pod.spec.restart_policy == "Never" else "OnFailure"
            return _steps([container], attempts, policy, now)
    return _steps(pod.spec.containers, attempts, pod.spec.restart_policy, now)


def _steps(
    containers: list[Container], attempts: Mapping[str, Attempt | None], policy: str, now: datetime
) -> Steps:
    starts, back_offs = [], {}
    for container in containers:
        attempt = attempts[container.name]
        if attempt is None:
            starts.append(Start(container, 0))
        elif attempt.exit is not None and restarts(policy, attempt.exit.code):
            waited = (now - attempt.exit.finished_at).total_seconds()
            remaining = back_off_seconds(attempt.number) - waited
            if remaining > 0:
                back_offs[container.name] = remaining
            else:
                starts.append(Start(container, attempt.number + 1))
    return Steps(tuple(starts), back_offs)


def restarts(policy: str, code: int) -> bool:
    """Return whether a container that ended with `code` is started again."""
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def back_off_seconds(number: int) -> float:
    """Return how long a container rests after its attempt `number` before the next one."""
    if number == 0:
        return 0.0
    # Bounded before the power is taken: a container may restart for months.
    doublings = min(number - 1, 10)
    return min(FIRST_BACK_OFF_SECONDS * 2.0**doublings, LONGEST_BACK_OFF_SECONDS)
