"""Why the pods of a Job do not run: nobody may create them, no node takes them, no image starts."""

import re
from collections.abc import Iterable
from datetime import datetime

from pretrain_operator.observed.clock import seconds_between
from pretrain_operator.observed.events import ObservedEvent
from pretrain_operator.observed.jobs import ObservedJob

PATIENCE_SECONDS = 5.0
"""Pods that are not there after this time may have been refused: most come within a second."""

LULL_SECONDS = 30.0
"""Between two tasks no pod may run for a while: the next has to find its place, and its image."""

_LONGEST_WAIT_SECONDS = 120.0
_SHOWN = 600
_PREAMBLE = re.compile(
    r'^(\(combined from similar events\): )?(Error creating: )?([Pp]ods? "[^"]*" is )?'
)
"""What the Job controller says before the reason; it differs from try to try."""

_OUTCOMES = ("FailedCreate", "SuccessfulCreate")
_PROFILE = "of the ComputeProfile"

_REMEDIES = (
    (
        "exceeded quota",
        f"raise the ResourceQuota, or ask for less: spec.pods {_PROFILE}, or fewer pods at once",
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
        f"free or add nodes, or ask for less: spec.pods {_PROFILE}, or the run's spec.parallelism",
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
"""What an obstacle is told by, in the words of Kubernetes, and what would do."""


def lacks_pods(job: ObservedJob, now: datetime) -> bool:
    """Return whether pods of `job` that should run have not even been created for a while."""
    return _is_short(job) and _age(job, now) >= PATIENCE_SECONDS


def missing_pods_seconds(jobs: Iterable[ObservedJob], now: datetime) -> float | None:
    """Return when to look at Jobs without all their pods again: no watch reports a refusal.

    Ever less often, because a watch does report the pods once they are created.
    """
    seen = tuple(jobs)
    waits = [_clamp(_age(job, now)) for job in seen if _is_short(job)]
    lulls = [LULL_SECONDS - since for job in seen if (since := _idle_seconds(job, now)) is not None]
    return min([*waits, *(left for left in lulls if left > 0)], default=None)


def is_between_tasks(job: ObservedJob, now: datetime) -> bool:
    """Return whether a pod of `job` runs, or did a moment ago.

    With more tasks than room, pods that wait are all there is whenever a task has just ended.
    """
    since = _idle_seconds(job, now)
    return _runs(job) or (since is not None and since < LULL_SECONDS)


def _runs(job: ObservedJob) -> bool:
    return any(pod.phase == "Running" for pod in job.pods)


def _idle_seconds(job: ObservedJob, now: datetime) -> float | None:
    """Return for how long no task of `job` has run; `None` while one does, or before any has."""
    if job.is_finished or _runs(job):
        return None
    ends = [pod.end.finished_at for pod in job.pods if pod.end and pod.end.finished_at]
    return min((seconds_between(end, now) for end in ends), default=None)


def _clamp(age: float) -> float:
    return min(_LONGEST_WAIT_SECONDS, max(PATIENCE_SECONDS, age))


def _age(job: ObservedJob, now: datetime) -> float:
    since = job.started_at or job.created_at
    return seconds_between(since, now) if since else 0.0


def _is_short(job: ObservedJob) -> bool:
    if job.is_finished or job.failing or job.deleting or job.suspended:
        return False
    there = sum(not pod.is_over for pod in job.pods)
    return there < min(job.parallelism, job.completions - job.succeeded)


def creation_refusal(events: Iterable[ObservedEvent]) -> str:
    """Return why the Job controller could not create a pod; empty if it could the last time."""
    tried = [event for event in events if event.reason in _OUTCOMES]
    # Times are whole seconds: of two events at once, the refusal is what leaves pods missing.
    newest = max(tried, key=lambda event: (event.at, event.reason == "FailedCreate"), default=None)
    if newest is None or newest.reason != "FailedCreate":
        return ""
    # Each try has another pod name; what is said should not change with it.
    return _PREAMBLE.sub("", newest.message)[:_SHOWN]


def waiting_reason(job: ObservedJob) -> str:
    """Return why the pods of `job` do not run, and what would do.

    Empty if they do, or are merely starting.
    """
    if job.refusal:
        return _with_remedy(f"Job {job.name} cannot create pods: {job.refusal}")
    for pod in job.pods:
        if pod.waiting and not pod.has_started:
            return _with_remedy(f"pod {pod.name} does not start: {pod.waiting}")
    return ""


def _with_remedy(message: str) -> str:
    return "; ".join([message, *(remedy for told, remedy in _REMEDIES if told in message)])
