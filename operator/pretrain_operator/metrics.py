"""Metrics of the operator, for Prometheus: with controller-runtime's names where it has one."""

from prometheus_client import Counter, Gauge, Histogram

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
WATCH_AGE = Gauge(
    "pretrain_watch_silence_seconds",
    "For how long a watch has heard nothing, by resource; bookmarks come every minute.",
    ["resource"],
)
