"""Hands the queue of an object to its Jobs, for Kueue."""

from typing import Any

from pretrain_operator.observed.objects import ObservedObject

QUEUE_LABELS = ("kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class")
"""Labels of an object that are copied to its Jobs."""


def with_queue(owner: ObservedObject, job: dict[str, Any]) -> dict[str, Any]:
    """Return `job` with the queue labels of its owner, if it has any.

    It is created suspended then; from there on Kueue manages the field.
    """
    queue = {label: owner.labels[label] for label in QUEUE_LABELS if label in owner.labels}
    if not queue:
        return job
    meta = job["metadata"]
    return {
        **job,
        "metadata": {**meta, "labels": {**meta["labels"], **queue}},
        "spec": {**job["spec"], "suspend": True},
    }
