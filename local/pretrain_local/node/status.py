"""The status of a pod as the API server shall have it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pretrain_local.node.api.pod_inputs import CREATING
from pretrain_local.node.api.pods import Container, Pod
from pretrain_local.node.lifecycle import restarts
from pretrain_local.node.runtime.attempts import Attempt, Exit

Json = dict[str, Any]

_INITIALIZING, _BACK_OFF = "PodInitializing", "CrashLoopBackOff"


@dataclass(frozen=True)
class Waiting:
    """Why a container does not run."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Ended:
    """A pod whose containers are stopped and will not start again."""

    reason: str = ""
    """Empty for a pod that is being deleted."""
    message: str = ""


@dataclass(frozen=True)
class Observed:
    """What the node knows about a pod."""

    pod_ip: str
    host_ip: str
    start_time: datetime
    attempts: Mapping[str, Attempt | None]
    previous: Mapping[str, Attempt | None]
    """The attempt before the newest one."""
    messages: Mapping[str, str] = field(default_factory=dict)
    """Termination messages of newest attempts that ended."""
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """Why containers do not start, where there is a special reason."""
    ended: Ended | None = None


def build_status(pod: Pod, observed: Observed, now: datetime) -> Json:
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
    if observed.ended is not None and observed.ended.reason:
        status |= {"reason": observed.ended.reason, "message": observed.ended.message}
    return status


def pod_phase(pod: Pod, observed: Observed) -> str:
    """Return the phase of `pod`, by the rules of a kubelet."""
    if observed.ended is not None and not _any_running(observed):
        return _last_phase(pod, observed)
    if not is_initialized(pod, observed):
        codes = [
            attempt.exit.code
            for container in pod.spec.init_containers
            if (attempt := observed.attempts[container.name]) and attempt.exit
        ]
        failed = any(code != 0 for code in codes)
        return "Failed" if failed and pod.spec.restart_policy == "Never" else "Pending"
    attempts = [observed.attempts[container.name] for container in pod.spec.containers]
    exits = [attempt.exit for attempt in attempts if attempt is not None]
    if len(exits) < len(attempts):
        return "Pending"
    ended = [found for found in exits if found is not None]
    if len(ended) < len(exits) or any(restarts(pod.spec.restart_policy, e.code) for e in ended):
        return "Running"
    return "Succeeded" if all(found.code == 0 for found in ended) else "Failed"


def _last_phase(pod: Pod, observed: Observed) -> str:
    """Return the phase of a pod that was stopped: nothing of it will run again."""
    attempts = [observed.attempts[container.name] for container in pod.spec.containers]
    succeeded = all(a is not None and a.exit is not None and a.exit.code == 0 for a in attempts)
    has_reason = observed.ended is not None and bool(observed.ended.reason)
    return "Succeeded" if succeeded and not has_reason else "Failed"


def _any_running(observed: Observed) -> bool:
    return any(a is not None and a.exit is None for a in observed.attempts.values())


def is_initialized(pod: Pod, observed: Observed) -> bool:
    """Return whether all init containers have succeeded."""
    return all(
        (attempt := observed.attempts[container.name]) is not None
        and attempt.exit is not None
        and attempt.exit.code == 0
        for container in pod.spec.init_containers
    )


def _container_status(container: Container, pod: Pod, observed: Observed) -> Json:
    name = container.name
    attempt = observed.attempts[name]
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
    last = observed.previous.get(name)
    if "waiting" in status["state"] and attempt is not None:
        last = attempt
    if last is not None and last.exit is not None:
        message = observed.messages.get(name, "") if last is attempt else ""
        identity = container_id(pod, name, last.number)
        status["lastState"] = {"terminated": _terminated(last.exit, message, identity)}
    return status


def container_id(pod: Pod, container: str, number: int) -> str:
    """Return the identity of an attempt."""
    return f"process://{pod.metadata.uid}/{container}/{number}"


def _state(name: str, pod: Pod, observed: Observed) -> Json:
    attempt = observed.attempts[name]
    if attempt is not None and attempt.exit is None:
        return {"running": {"startedAt": timestamp(attempt.started_at)}}
    waiting = observed.waiting.get(name)
    if waiting is not None and observed.ended is None:
        return {"waiting": {"reason": waiting.reason, "message": waiting.message}}
    if attempt is None or attempt.exit is None:
        is_main = name in {container.name for container in pod.spec.containers}
        held_up = is_main and not is_initialized(pod, observed)
        return {"waiting": {"reason": _INITIALIZING if held_up else CREATING}}
    identity = container_id(pod, name, attempt.number)
    return {"terminated": _terminated(attempt.exit, observed.messages.get(name, ""), identity)}


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


def back_off(container: str, pod: Pod, seconds: float) -> Waiting:
    """Return why a container that failed does not run at once again."""
    message = f"back-off {seconds:.0f}s restarting failed container={container} pod={pod.key}"
    return Waiting(_BACK_OFF, message)


def _conditions(pod: Pod, observed: Observed, phase: str, now: datetime) -> list[Json]:
    running = [
        container.name
        for container in pod.spec.containers
        if (attempt := observed.attempts[container.name]) and attempt.exit is None
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
    known = {condition["type"]: condition for condition in pod.status.get("conditions", [])}
    return [
        _condition(name, *value, known.get(name), timestamp(now)) for name, value in wanted.items()
    ]


def _condition(
    name: str, is_true: bool, reason: str, message: str, known: Json | None, now: str
) -> Json:
    truth = "True" if is_true else "False"
    since = now
    if known is not None and known["status"] == truth and known.get("lastTransitionTime"):
        since = known["lastTransitionTime"]
    condition: Json = {"type": name, "status": truth, "lastTransitionTime": since}
    # Null removes what an earlier status said: the API server merges conditions by type.
    return condition | {"reason": reason or None, "message": message or None}


def timestamp(moment: datetime) -> str:
    """Return a time as Kubernetes writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
