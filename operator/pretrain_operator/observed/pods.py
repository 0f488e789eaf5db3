"""Pods of our Jobs: their phase and node, how the container ended, or why it does not run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_operator.observed.clock import format_time, read_time, seconds_between
from pretrain_operator.observed.objects import controller_of, parse_integer, true_conditions

MAIN_CONTAINER = "main"
"""Name of the one container of a workload pod."""

LOST_AFTER_SECONDS = 30
"""A pod that exists this long after its grace period is on a node that does not confirm its end."""

_MAX_MESSAGE = 300

_PULL_BACKOFF = re.compile(r'Back-off pulling image "[^"]*": ')
"""Prefix of the kubelet's message between two pulls; the rest is the message of the failed pull.

Without the prefix, the message does not change with every retry.
"""


@dataclass(frozen=True)
class ContainerEnd:
    """How a pod's container ended."""

    exit_code: int
    reason: str
    message: str
    """Termination message, or the last lines of the log if there is none."""
    report: ExitReport | None
    finished_at: str | None = None

    @property
    def last_line(self) -> str:
        """Return the last line of `message`, shortened."""
        lines = self.message.strip().splitlines()
        return lines[-1].strip()[:_MAX_MESSAGE] if lines else ""


@dataclass(frozen=True)
class ObservedPod:
    """One pod of a Job."""

    name: str
    uid: str
    namespace: str
    job: str
    rank: int
    phase: str
    resource_version: str = ""
    job_uid: str = ""
    """UID of the Job that controls it. Empty if none does: labels can be copied."""
    ip: str | None = None
    node: str | None = None
    deleted_by: str | None = None
    """When its grace period ends, if it is being deleted, RFC 3339."""
    grace_seconds: int = 0
    """Length of that grace period."""
    is_unreachable: bool = False
    """Whether its node does not answer, although it has not confirmed the end of the container."""
    reason: str = ""
    """Why the pod as a whole failed, such as `Evicted`."""
    message: str = ""
    waiting: str = ""
    """Why it does not run yet: reason and message of the kubelet or the scheduler."""
    disruption: str = ""
    """Reason of its `DisruptionTarget` condition, such as `PreemptionByScheduler`."""
    end: ContainerEnd | None = None

    @property
    def deleting(self) -> bool:
        """Return whether it is being deleted."""
        return self.deleted_by is not None

    @property
    def deleted_at(self) -> str | None:
        """Return when its deletion was requested, RFC 3339; `None` if it is not being deleted."""
        deadline = read_time(self.deleted_by)
        return format_time(deadline - timedelta(seconds=self.grace_seconds)) if deadline else None

    def is_lost(self, now: datetime) -> bool:
        """Return whether it is given up: it is being deleted, and its node does not confirm it."""
        return (
            self.deleted_by is not None
            and not self.is_over
            and (self.is_unreachable or seconds_between(self.deleted_by, now) > LOST_AFTER_SECONDS)
        )

    @property
    def has_started(self) -> bool:
        """Return whether its container has ever run."""
        return self.phase in ("Running", "Succeeded") or self.end is not None

    @property
    def is_over(self) -> bool:
        """Return whether it has ended."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def report(self) -> ExitReport | None:
        """Return its exit report, if it left one."""
        return self.end.report if self.end else None


def parse_pod(body: Mapping[str, Any]) -> ObservedPod:
    """Return a pod of one of our Jobs."""
    meta, status = body["metadata"], body.get("status") or {}
    labels = meta.get("labels") or {}
    annotations = meta.get("annotations") or {}
    conditions = true_conditions(status)
    state = _main_state(status)
    controller = controller_of(meta)
    return ObservedPod(
        name=meta["name"],
        uid=meta["uid"],
        namespace=meta["namespace"],
        job=labels.get("batch.kubernetes.io/job-name", ""),
        rank=parse_integer(annotations.get("batch.kubernetes.io/job-completion-index", "0")),
        phase=str(status.get("phase") or "Pending"),
        resource_version=str(meta.get("resourceVersion") or ""),
        job_uid=str(controller.get("uid") or "") if controller.get("kind") == "Job" else "",
        ip=status.get("podIP"),
        node=(body.get("spec") or {}).get("nodeName"),
        deleted_by=meta.get("deletionTimestamp"),
        grace_seconds=int(meta.get("deletionGracePeriodSeconds") or 0),
        is_unreachable=_is_unreachable(status),
        reason=str(status.get("reason") or ""),
        message=str(status.get("message") or ""),
        waiting=_waiting(status, state),
        disruption=str((conditions.get("DisruptionTarget") or {}).get("reason") or ""),
        end=_end(state.get("terminated")),
    )


def parse_report(text: str) -> ExitReport | None:
    """Return the exit report in a termination message; `None` if it holds none.

    Unknown fields are ignored: the image may be newer than the operator.
    """
    try:
        return ExitReport.model_validate_json(text, extra="ignore")
    except ValidationError:
        return None


def _main_state(status: Mapping[str, Any]) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or []:
        if container.get("name") == MAIN_CONTAINER:
            return container.get("state") or {}
    return {}


def _is_unreachable(status: Mapping[str, Any]) -> bool:
    """Return whether the cluster has declared a running pod not ready, because of its node.

    Kubernetes does so when a node stops answering, and changes nothing else of the pod. A kubelet
    that answers reports that the containers are not ready, too, or gives a reason.
    """
    conditions = {item.get("type"): item for item in status.get("conditions") or []}
    ready, containers = conditions.get("Ready", {}), conditions.get("ContainersReady", {})
    return (
        status.get("phase") == "Running"
        and ready.get("status") == "False"
        and not ready.get("reason")
        and containers.get("status") == "True"
    )


def _waiting(status: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """Return why a pod does not run; empty while its container is being created."""
    waiting = state.get("waiting") or {}
    if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        return _reason_and_message(waiting)
    for item in status.get("conditions") or []:
        if item.get("type") == "PodScheduled" and item.get("status") == "False":
            return _reason_and_message(item)
    return ""


def _reason_and_message(item: Mapping[str, Any]) -> str:
    message = str(item.get("message") or "").strip()
    if backoff := _PULL_BACKOFF.match(message):
        return message[backoff.end() :][:_MAX_MESSAGE]
    parts = [str(item.get("reason") or ""), message]
    return ": ".join(part for part in parts if part)[:_MAX_MESSAGE]


def _end(terminated: Mapping[str, Any] | None) -> ContainerEnd | None:
    if not terminated:
        return None
    message = str(terminated.get("message") or "")
    report = parse_report(message)
    code = int(terminated.get("exitCode") or 0)
    if report is not None and code != 0 and report.exit_class is ExitClass.COMPLETE:
        report = None  # the process was killed after it had written its report
    return ContainerEnd(
        exit_code=code,
        reason=str(terminated.get("reason") or ""),
        message=message,
        report=report,
        finished_at=terminated.get("finishedAt"),
    )
