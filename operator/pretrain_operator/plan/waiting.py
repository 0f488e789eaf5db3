"""Why the pods of a Job do not run: they cannot be created, scheduled or started."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from pretrain_operator.observed.clock import seconds_between
from pretrain_operator.observed.events import ObservedEvent
from pretrain_operator.observed.jobs import ObservedJob

PATIENCE_SECONDS = 5.0
"""Pods that do not exist after this time may have been refused: most are created in a second."""

BETWEEN_TASKS_SECONDS = 30.0
"""How long no pod may run between two tasks, while the next is scheduled and its image pulled."""

_MAX_REQUEUE_SECONDS = 120.0
_MAX_MESSAGE = 600
_PREAMBLE = re.compile(
    r'^(\(combined from similar events\): )?(Error creating: )?([Pp]ods? "[^"]*" is )?'
)
"""What precedes the reason in a message of the Job controller; it differs from retry to retry."""

_OUTCOMES = ("FailedCreate", "SuccessfulCreate")
_PROFILE = "of the ComputeProfile"

_REMEDIES = (
    (
        "exceeded quota",
        f"raise the ResourceQuota, or request less: spec.pods {_PROFILE}, or fewer pods at once",
    ),
    (
        "must specify",
        f"set spec.pods.data and .trainer {_PROFILE}, or defaults in a LimitRange",
    ),
    (
        "violates PodSecurity",
        "relax the label pod-security.kubernetes.io/enforce of the namespace, or take what is"
        f" refused out of spec.pods {_PROFILE}",
    ),
    (
        "looking up service account",
        f"create that ServiceAccount, or change spec.pods.serviceAccountName {_PROFILE}",
    ),
    (
        "no PriorityClass",
        f"create that PriorityClass, or change spec.pods.priorityClassName {_PROFILE}",
    ),
    (
        " usage per ",
        f"change the LimitRange of the namespace, or spec.pods.data and .trainer {_PROFILE}",
    ),
    (
        "Insufficient ",
        "free or add nodes, or request less: spec.pods and spec.network.resources "
        f"{_PROFILE}, or the run's spec.parallelism",
    ),
    (
        "node affinity/selector",
        f"label a node so, or change spec.pods.nodeSelector {_PROFILE}",
    ),
    ("untolerated taint", f"add a toleration to spec.pods.tolerations {_PROFILE}"),
    (
        "persistentvolumeclaim",
        f"create that claim, or change spec.pods.volumes {_PROFILE}",
    ),
    ("unbound immediate", "give the claim a volume: no StorageClass provides one by itself"),
    ("Image", f"check spec.images {_PROFILE}: the name, pullPolicy and pullSecrets"),
    ("runAsNonRoot", f"set spec.images {_PROFILE} to images with a numeric USER other than 0"),
)
"""Parts of messages of Kubernetes, and the remedy for what they report."""


def lacks_pods(job: ObservedJob, now: datetime) -> bool:
    """Return whether pods of `job` are missing although there was time to create them."""
    return _has_missing_pods(job) and _age(job, now) >= PATIENCE_SECONDS


def missing_pods_seconds(jobs: Sequence[ObservedJob], now: datetime) -> float | None:
    """Return when to requeue the owner of Jobs whose pods are missing; `None` if none are.

    No watch reports that pods were refused. The delay grows with the age of a Job, because a watch
    does report pods once they are created.
    """
    delays = [_requeue_delay(_age(job, now)) for job in jobs if _has_missing_pods(job)]
    idle_seconds = (_idle_seconds(job, now) for job in jobs)
    left = [BETWEEN_TASKS_SECONDS - idle for idle in idle_seconds if idle is not None]
    return min([*delays, *(seconds for seconds in left if seconds > 0)], default=None)


def is_between_tasks(job: ObservedJob, now: datetime) -> bool:
    """Return whether a pod of `job` runs, or ran less than `BETWEEN_TASKS_SECONDS` ago.

    With more tasks than the nodes have room for, all pods are pending whenever a task has ended.
    """
    idle = _idle_seconds(job, now)
    return _runs(job) or (idle is not None and idle < BETWEEN_TASKS_SECONDS)


def _runs(job: ObservedJob) -> bool:
    return any(pod.phase == "Running" for pod in job.pods)


def _idle_seconds(job: ObservedJob, now: datetime) -> float | None:
    """Return for how long no pod of `job` has run; `None` while one runs, or before any has."""
    if job.is_finished or _runs(job):
        return None
    ends = [pod.end.finished_at for pod in job.pods if pod.end and pod.end.finished_at]
    return min((seconds_between(end, now) for end in ends), default=None)


def _requeue_delay(age: float) -> float:
    return min(_MAX_REQUEUE_SECONDS, max(PATIENCE_SECONDS, age))


def _age(job: ObservedJob, now: datetime) -> float:
    since = job.started_at or job.created_at
    return seconds_between(since, now) if since else 0.0


def _has_missing_pods(job: ObservedJob) -> bool:
    if job.is_finished or job.failing or job.deleting or job.suspended:
        return False
    pods = sum(not pod.is_over for pod in job.pods)
    return pods < min(job.parallelism, job.completions - job.succeeded)


def creation_refusal(events: Iterable[ObservedEvent]) -> str:
    """Return why the Job controller could not create its last pod; empty if it could."""
    outcomes = [event for event in events if event.reason in _OUTCOMES]
    # Times are whole seconds: within one second the refusal counts, since it leaves pods missing.
    newest = max(
        outcomes, key=lambda event: (event.at, event.reason == "FailedCreate"), default=None
    )
    if newest is None or newest.reason != "FailedCreate":
        return ""
    # Each retry has another pod name, which would make every message a new one.
    return _PREAMBLE.sub("", newest.message)[:_MAX_MESSAGE]


def suspension(job: ObservedJob) -> str:
    """Say that a Job waits in its queue."""
    return f"Job {job.name} is suspended by its queue until resources are available"


def waiting_reason(job: ObservedJob) -> str:
    """Return why the pods of `job` do not run, and the remedy; empty if they run, or just start."""
    if job.refusal:
        return _with_remedy(f"Job {job.name} cannot create pods: {job.refusal}")
    for pod in job.pods:
        if pod.waiting and not pod.has_started:
            return _with_remedy(f"pod {pod.name} does not start: {pod.waiting}")
    return ""


def _with_remedy(message: str) -> str:
    return "; ".join([message, *(remedy for part, remedy in _REMEDIES if part in message)])
