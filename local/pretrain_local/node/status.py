"""Builds the status of a Pod from the attempts of its containers, as a kubelet does. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pretrain_local.node.api.client import Json
from pretrain_local.node.api.pod_inputs import CREATING
from pretrain_local.node.api.pods import Container, Pod
from pretrain_local.node.lifecycle import PodTermination, restarts
from pretrain_local.node.runtime.attempts import ObservedAttempts
from pretrain_local.node.runtime.exits import Exit

_INITIALIZING, _BACKOFF = "PodInitializing", "CrashLoopBackOff"


@dataclass(frozen=True)
class WaitingState:
    """Why a container does not run yet."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class RuntimeStatus:
    """What the node has observed of a pod."""

    pod_ip: str
    host_ip: str
    start_time: datetime
    attempts: ObservedAttempts
    waiting: Mapping[str, WaitingState] = field(default_factory=dict)
    """Why containers do not start, by name, where it is not the default reason."""
    termination: PodTermination | None = None


def build_status(pod: Pod, observed: RuntimeStatus, now: datetime) -> Json:
    """Return the status of `pod`; `now` is the time of any condition that changes."""
    phase = pod_phase(pod, observed)
    status: Json = {
        "phase": phase,
        "hostIP": observed.host_ip,
        "hostIPs": [{"ip": observed.host_ip}],
        "podIP": observed.pod_ip,
        "podIPs": [{"ip": observed.pod_ip}],
        "startTime": timestamp(observed.start_time),
        "qosClass": pod.status.get("qosClass", "BestEffort"),
        "containerStatuses": [
            _container_status(container, pod, observed) for container in pod.spec.containers
        ],
        "conditions": _conditions(pod, observed, phase, now),
    }
    if pod.spec.init_containers:
        status["initContainerStatuses"] = [
            _container_status(container, pod, observed) for container in pod.spec.init_containers
        ]
    if observed.termination is not None and observed.termination.reason:
        status |= {"reason": observed.termination.reason, "message": observed.termination.message}
    return status


def pod_phase(pod: Pod, observed: RuntimeStatus) -> str:
    """Return the phase of `pod`, by the rules of a kubelet."""
    if observed.termination is not None and not observed.attempts.running:
        return _last_phase(pod, observed)
    if not is_initialized(pod, observed):
        codes = [
            attempt.exit.code
            for container in pod.spec.init_containers
            if (attempt := observed.attempts.latest[container.name]) and attempt.exit
        ]
        failed = any(code != 0 for code in codes)
        return "Failed" if failed and pod.spec.restart_policy == "Never" else "Pending"
    attempts = [observed.attempts.latest[container.name] for container in pod.spec.containers]
    exits = [attempt.exit for attempt in attempts if attempt is not None]
    if len(exits) < len(attempts):
        return "Pending"
    codes = [ended.code for ended in exits if ended is not None]
    if len(codes) < len(exits) or any(restarts(pod.spec.restart_policy, code) for code in codes):
        return "Running"
    return "Succeeded" if all(code == 0 for code in codes) else "Failed"


def _last_phase(pod: Pod, observed: RuntimeStatus) -> str:
    """Return the phase of a pod whose containers have been stopped for good."""
    attempts = [observed.attempts.latest[container.name] for container in pod.spec.containers]
    succeeded = all(a is not None and a.exit is not None and a.exit.code == 0 for a in attempts)
    has_reason = observed.termination is not None and bool(observed.termination.reason)
    return "Succeeded" if succeeded and not has_reason else "Failed"


def is_initialized(pod: Pod, observed: RuntimeStatus) -> bool:
    """Return whether all init containers have succeeded."""
    return all(
        (attempt := observed.attempts.latest[container.name]) is not None
        and attempt.exit is not None
        and attempt.exit.code == 0
        for container in pod.spec.init_containers
    )


def _container_status(container: Container, pod: Pod, observed: RuntimeStatus) -> Json:
    name = container.name
    attempt = observed.attempts.latest[name]
    is_running = attempt is not None and attempt.exit is None
    is_init = container in pod.spec.init_containers
    succeeded = attempt is not None and attempt.exit is not None and attempt.exit.code == 0
    status: Json = {
        "name": name,
        "image": container.image,
        "imageID": "",
        "ready": succeeded if is_init else is_running,
        "started": is_running,
        "restartCount": 0 if attempt is None else attempt.number,
        "state": _state(name, pod, observed),
    }
    if attempt is not None:
        status["containerID"] = container_id(pod, name, attempt.number)
    last = observed.attempts.previous.get(name)
    if "waiting" in status["state"] and attempt is not None:
        last = attempt
    if last is not None and last.exit is not None:
        message = observed.attempts.messages.get(name, "") if last is attempt else ""
        identity = container_id(pod, name, last.number)
        status["lastState"] = {"terminated": _terminated(last.exit, message, identity)}
    return status


def container_id(pod: Pod, container: str, number: int) -> str:
    """Return the container ID of an attempt."""
    return f"process://{pod.metadata.uid}/{container}/{number}"


def _state(name: str, pod: Pod, observed: RuntimeStatus) -> Json:
    attempt = observed.attempts.latest[name]
    if attempt is not None and attempt.exit is None:
        return {"running": {"startedAt": timestamp(attempt.started_at)}}
    waiting = observed.waiting.get(name)
    if waiting is not None and observed.termination is None:
        return {"waiting": {"reason": waiting.reason, "message": waiting.message}}
    if attempt is None or attempt.exit is None:
        is_main = name in {container.name for container in pod.spec.containers}
        waits_for_init = is_main and not is_initialized(pod, observed)
        return {"waiting": {"reason": _INITIALIZING if waits_for_init else CREATING}}
    identity = container_id(pod, name, attempt.number)
    return {
        "terminated": _terminated(attempt.exit, observed.attempts.messages.get(name, ""), identity)
    }


def _terminated(ended: Exit, message: str, identity: str) -> Json:
    state: Json = {
        "exitCode": ended.code,
        "reason": ended.reason,
        "startedAt": timestamp(ended.started_at),
        "finishedAt": timestamp(ended.finished_at),
        "containerID": identity,
    }
    if message or ended.message:
        state["message"] = message or ended.message
    return state


def crash_loop_backoff(container: str, pod: Pod, seconds: float) -> WaitingState:
    """Return the waiting state of a container that restarts in `seconds`."""
    message = f"back-off {seconds:.0f}s restarting failed container={container} pod={pod.key}"
    return WaitingState(_BACKOFF, message)


def _conditions(pod: Pod, observed: RuntimeStatus, phase: str, now: datetime) -> list[Json]:
    running = [
        container.name
        for container in pod.spec.containers
        if (attempt := observed.attempts.latest[container.name]) and attempt.exit is None
    ]
    is_ready = len(running) == len(pod.spec.containers)
    unready = [c.name for c in pod.spec.containers if c.name not in running]
    finished = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase)
    reason, message = "", ""
    if not is_ready:
        reason = finished or "ContainersNotReady"
        message = "" if finished else f"containers with unready status: [{' '.join(unready)}]"
    initialized = is_initialized(pod, observed)
    wanted = {
        "PodScheduled": (True, "", ""),
        "Initialized": (initialized, "" if initialized else "ContainersNotInitialized", ""),
        "ContainersReady": (is_ready, reason, message),
        "Ready": (is_ready, reason, message),
    }
    current = {condition["type"]: condition for condition in pod.status.get("conditions", [])}
    return [
        _condition(name, *value, current.get(name), timestamp(now))
        for name, value in wanted.items()
    ]


def _condition(
    name: str, is_true: bool, reason: str, message: str, current: Json | None, now: str
) -> Json:
    truth = "True" if is_true else "False"
    since = now
    if current is not None and current["status"] == truth and current.get("lastTransitionTime"):
        since = current["lastTransitionTime"]
    condition: Json = {"type": name, "status": truth, "lastTransitionTime": since}
    # The API server merges conditions by type, so null is needed to remove an earlier value.
    return condition | {"reason": reason or None, "message": message or None}


def timestamp(moment: datetime) -> str:
    """Return a time in the format of the API."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
