"""What the API server said, parsed once: our objects, their Jobs and the Jobs' pods."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from pretrain_api.meta import ATTEMPT_LABEL, STAGE_LABEL
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_operator.observed.clock import seconds_between

MAIN_CONTAINER = "main"
"""Name of the one container of a workload pod."""

CONFIG_MAP_ANNOTATION = "pretrain.dev/config-map"
"""Annotation of a Job: the ConfigMap of its pods, to be deleted with it."""

LOST_AFTER_SECONDS = 30
"""A pod that is still there so long after its grace period lies on a node that does not answer."""

_SHOWN = 300

_PULL_PAUSE = re.compile(r'Back-off pulling image "[^"]*": ')
"""What a node says between two pulls, before it repeats why the last one failed.

Without it, the sentence is that of the failed pull, and does not change to and fro with each try.
"""


@dataclass(frozen=True, order=True)
class Key:
    """Which object of our kinds; cluster-scoped kinds have no namespace."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return the key as people write it."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else self.title

    @property
    def title(self) -> str:
        """Return kind and name, without the namespace."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class ObservedObject:
    """An object of one of our kinds; `spec` and `status` are parsed by their own types later."""

    key: Key
    uid: str
    generation: int
    resource_version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    deleting: bool
    spec: Mapping[str, Any]
    status: Mapping[str, Any]


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
        """Return the last line that the container left, shortened."""
        lines = self.message.strip().splitlines()
        return lines[-1].strip()[:_SHOWN] if lines else ""


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
    reason: str = ""
    """Why the pod as a whole failed, such as `Evicted`."""
    message: str = ""
    waiting: str = ""
    """Why it does not run yet: a reason and the node's or scheduler's sentence."""
    disruption: str = ""
    """Reason of its `DisruptionTarget` condition, such as `PreemptionByScheduler`."""
    end: ContainerEnd | None = None

    @property
    def deleting(self) -> bool:
        """Return whether it is being deleted."""
        return self.deleted_by is not None

    def is_lost(self, now: datetime) -> bool:
        """Return whether its node has not confirmed its end long after the grace period."""
        return self.deleted_by is not None and (
            seconds_between(self.deleted_by, now) > LOST_AFTER_SECONDS
        )

    @property
    def has_started(self) -> bool:
        """Return whether its container ever ran."""
        return self.phase in ("Running", "Succeeded") or self.end is not None

    @property
    def is_over(self) -> bool:
        """Return whether nothing of it runs any more."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def report(self) -> ExitReport | None:
        """Return its exit report, if it left one."""
        return self.end.report if self.end else None


@dataclass(frozen=True)
class ObservedJob:
    """One Job and its pods."""

    name: str
    uid: str
    namespace: str
    owner_uid: str
    resource_version: str
    stage: str
    attempt: int
    annotations: Mapping[str, str]
    completions: int
    parallelism: int
    suspended: bool
    succeeded: int
    deleting: bool
    complete: bool
    failed: bool
    failing: bool
    """Whether the Job will fail as soon as its pods have ended."""
    failure_reason: str = ""
    failure_message: str = ""
    refusal: str = ""
    """Why its pods cannot be created, if some are missing and it is known."""
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    pods: tuple[ObservedPod, ...] = field(default=())

    @property
    def is_finished(self) -> bool:
        """Return whether it is complete or failed, and all its pods have ended."""
        return self.complete or self.failed

    @property
    def has_started(self) -> bool:
        """Return whether one of its pods ever ran."""
        return self.succeeded > 0 or any(pod.has_started for pod in self.pods)


def parse_object(kind: str, body: Mapping[str, Any]) -> ObservedObject:
    """Return an object of one of our kinds."""
    meta = body["metadata"]
    return ObservedObject(
        key=Key(kind, meta.get("namespace") or "", meta["name"]),
        uid=meta["uid"],
        generation=int(meta.get("generation") or 0),
        resource_version=str(meta.get("resourceVersion") or ""),
        labels=dict(meta.get("labels") or {}),
        annotations=dict(meta.get("annotations") or {}),
        deleting=meta.get("deletionTimestamp") is not None,
        spec=body.get("spec") or {},
        status=body.get("status") or {},
    )


def controller_of(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reference to the object that controls another; empty if nothing does."""
    owners = metadata.get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def parse_job(body: Mapping[str, Any]) -> ObservedJob:
    """Return a Job, without its pods."""
    meta, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels = meta.get("labels") or {}
    conditions = _true_conditions(status)
    failure = conditions.get("Failed") or conditions.get("FailureTarget") or {}
    ended = conditions.get("Complete") or conditions.get("Failed") or {}
    return ObservedJob(
        name=meta["name"],
        uid=meta["uid"],
        namespace=meta["namespace"],
        owner_uid=str(controller_of(meta).get("uid") or ""),
        resource_version=str(meta.get("resourceVersion") or ""),
        stage=labels.get(STAGE_LABEL, ""),
        attempt=_integer(labels.get(ATTEMPT_LABEL, "0")),
        annotations=dict(meta.get("annotations") or {}),
        completions=int(spec.get("completions") or 1),
        parallelism=int(1 if spec.get("parallelism") is None else spec["parallelism"]),
        suspended=bool(spec.get("suspend")),
        succeeded=int(status.get("succeeded") or 0),
        deleting=meta.get("deletionTimestamp") is not None,
        complete="Complete" in conditions,
        failed="Failed" in conditions,
        failing="FailureTarget" in conditions,
        failure_reason=str(failure.get("reason") or ""),
        failure_message=str(failure.get("message") or ""),
        created_at=meta.get("creationTimestamp"),
        started_at=status.get("startTime"),
        finished_at=status.get("completionTime") or ended.get("lastTransitionTime"),
    )


def parse_pod(body: Mapping[str, Any]) -> ObservedPod:
    """Return a pod of one of our Jobs."""
    meta, status = body["metadata"], body.get("status") or {}
    labels = meta.get("labels") or {}
    annotations = meta.get("annotations") or {}
    conditions = _true_conditions(status)
    state = _main_state(status)
    controller = controller_of(meta)
    return ObservedPod(
        name=meta["name"],
        uid=meta["uid"],
        namespace=meta["namespace"],
        job=labels.get("batch.kubernetes.io/job-name", ""),
        rank=_integer(annotations.get("batch.kubernetes.io/job-completion-index", "0")),
        phase=str(status.get("phase") or "Pending"),
        resource_version=str(meta.get("resourceVersion") or ""),
        job_uid=str(controller.get("uid") or "") if controller.get("kind") == "Job" else "",
        ip=status.get("podIP"),
        node=(body.get("spec") or {}).get("nodeName"),
        deleted_by=meta.get("deletionTimestamp"),
        reason=str(status.get("reason") or ""),
        message=str(status.get("message") or ""),
        waiting=_waiting(status, state),
        disruption=str((conditions.get("DisruptionTarget") or {}).get("reason") or ""),
        end=_end(state.get("terminated")),
    )


def parse_report(text: str) -> ExitReport | None:
    """Return the exit report in a termination message; `None` if there is none.

    Fields that this operator does not know are ignored: the image may be newer.
    """
    try:
        return ExitReport.model_validate_json(text, extra="ignore")
    except ValidationError:
        return None


def _integer(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _true_conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        item["type"]: item
        for item in status.get("conditions") or []
        if item.get("status") == "True"
    }


def _main_state(status: Mapping[str, Any]) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or []:
        if container.get("name") == MAIN_CONTAINER:
            return container.get("state") or {}
    return {}


def _waiting(status: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """Return why a pod does not run; containers that are merely being created give no reason."""
    waiting = state.get("waiting") or {}
    if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        return _sentence(waiting)
    for item in status.get("conditions") or []:
        if item.get("type") == "PodScheduled" and item.get("status") == "False":
            return _sentence(item)
    return ""


def _sentence(item: Mapping[str, Any]) -> str:
    message = str(item.get("message") or "").strip()
    if pause := _PULL_PAUSE.match(message):
        return message[pause.end() :][:_SHOWN]
    parts = [str(item.get("reason") or ""), message]
    return ": ".join(part for part in parts if part)[:_SHOWN]


def _end(terminated: Mapping[str, Any] | None) -> ContainerEnd | None:
    if not terminated:
        return None
    message = str(terminated.get("message") or "")
    report = parse_report(message)
    code = int(terminated.get("exitCode") or 0)
    if report is not None and code != 0 and report.exit_class is ExitClass.COMPLETE:
        report = None  # it was killed after it had written its report
    return ContainerEnd(
        exit_code=code,
        reason=str(terminated.get("reason") or ""),
        message=message,
        report=report,
        finished_at=terminated.get("finishedAt"),
    )
