"""Kubernetes Events: what happened to an object, for `kubectl describe`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pretrain_api.digests import digest
from pretrain_api.meta import API_VERSION, GROUP
from pretrain_operator.observed.objects import ObservedObject

EVENT_NAMESPACE = "default"
"""Namespace of the Events of cluster-scoped objects."""

_DIGITS = 16
_LONGEST_NAME = 200
_LONGEST_NOTE = 1024
"""Bytes; the limit of the API server."""


@dataclass(frozen=True)
class EventRecord:
    """Something that happened to an object, before it becomes an Event."""

    reason: str
    message: str
    is_warning: bool = False


def build_event(
    owner: ObservedObject, record: EventRecord, now: datetime, instance: str
) -> dict[str, Any]:
    """Return the Event of `record`, reported by the process `instance`.

    Its name has a digest of the record and the version of `owner`, so that a repeated reconcile
    creates no duplicate.
    """
    key = owner.key
    suffix = digest(owner.uid, owner.resource_version, record.reason, record.message)[:_DIGITS]
    regarding = {
        "apiVersion": API_VERSION,
        "kind": key.kind,
        "name": key.name,
        "uid": owner.uid,
        **({"namespace": key.namespace} if key.namespace else {}),
    }
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{key.name[:_LONGEST_NAME]}.{suffix}",
            "namespace": key.namespace or EVENT_NAMESPACE,
        },
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"{GROUP}/operator",
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "reason": record.reason,
        "note": _shorten(record.message),
        "type": "Warning" if record.is_warning else "Normal",
        "regarding": regarding,
    }


def _shorten(message: str) -> str:
    encoded = message.encode(errors="replace")
    if len(encoded) <= _LONGEST_NOTE:
        return encoded.decode()
    return encoded[: _LONGEST_NOTE - 3].decode(errors="ignore") + "…"
