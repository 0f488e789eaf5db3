"""Metrics of the operator, for Prometheus: with controller-runtime's names where it has one."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from pretrain_operator.observed.objects import ObservedObject

RECONCILES = Counter(
    "controller_runtime_reconcile",
    "Reconciles by kind and result: success, unavailable, refused or error.",
    ["controller", "result"],
)
RECONCILE_SECONDS = Histogram(
    "controller_runtime_reconcile_time_seconds",
    "Duration of a reconcile, by kind.",
    ["controller"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
REQUESTS = Counter(
    "rest_client_requests",
    "Requests to the API server, by verb and status; `none` without an answer.",
    ["method", "code"],
)
QUEUE_DEPTH = Gauge("workqueue_depth", "Objects that wait for a reconcile, now or later.")
QUEUE_AGE = Gauge(
    "workqueue_unfinished_work_seconds", "For how long the object that waits longest has been due."
)
LEADING = Gauge(
    "pretrain_leading", "1 for the replica that reconciles; 0 for those that follow and wait."
)
OBJECTS = Gauge("pretrain_objects", "Objects, by kind and phase.", ["kind", "phase"])
ATTEMPTS = Gauge(
    "pretrain_attempts", "Attempts of the runs that exist, by why they ended.", ["reason"]
)
GOODPUT = Gauge(
    "pretrain_goodput",
    "Share of a run's time that was spent on steps that count.",
    ["run_namespace", "run"],
)
WATCH_AGE = Gauge(
    "pretrain_watch_silence_seconds",
    "For how long a watch has heard nothing, by resource; bookmarks come every minute.",
    ["resource"],
)


def count_objects(objects: Iterable[ObservedObject]) -> None:
    """Set the metrics of the objects that exist: a restart loses nothing of them."""
    phases: Tally[tuple[str, str]] = Tally()
    reasons: Tally[str] = Tally()
    for metric in (OBJECTS, ATTEMPTS, GOODPUT):
        metric.clear()  # of objects that are gone
    for observed in objects:
        if observed.key.kind == "ComputeProfile":
            continue  # it has no phase
        phases[observed.key.kind, observed.status.get("phase") or "New"] += 1
        share = (observed.status.get("goodput") or {}).get("share")
        if share is not None:
            GOODPUT.labels(observed.key.namespace, observed.key.name).set(share)
        for attempt in observed.status.get("attempts") or ():
            reasons[attempt.get("reason") or "running"] += 1
    for labels, count in phases.items():
        OBJECTS.labels(*labels).set(count)
    for reason, count in reasons.items():
        ATTEMPTS.labels(reason).set(count)
