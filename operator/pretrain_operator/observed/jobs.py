"""Jobs of our objects, and their pods."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pretrain_api.meta import ATTEMPT_LABEL, STAGE_LABEL
from pretrain_operator.observed.objects import controller_of, parse_integer, true_conditions
from pretrain_operator.observed.pods import ObservedPod


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
    """Why its pods cannot be created. Empty if none are missing, or the reason is unknown."""
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
        """Return whether any of its pods has ever run."""
        return self.succeeded > 0 or any(pod.has_started for pod in self.pods)


def parse_job(body: Mapping[str, Any]) -> ObservedJob:
    """Return a Job, without its pods."""
    meta, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels = meta.get("labels") or {}
    conditions = true_conditions(status)
    failure = conditions.get("Failed") or conditions.get("FailureTarget") or {}
    ended = conditions.get("Complete") or conditions.get("Failed") or {}
    return ObservedJob(
        name=meta["name"],
        uid=meta["uid"],
        namespace=meta["namespace"],
        owner_uid=str(controller_of(meta).get("uid") or ""),
        resource_version=str(meta.get("resourceVersion") or ""),
        stage=labels.get(STAGE_LABEL, ""),
        attempt=parse_integer(labels.get(ATTEMPT_LABEL, "0")),
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
