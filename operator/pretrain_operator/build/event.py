"""Kubernetes Events: what happened to an object, as `kubectl describe` shows it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pretrain_api.digests import digest
from pretrain_api.meta import API_VERSION, GROUP
from pretrain_operator.observed.objects import ObservedObject

EVENT_NAMESPACE = "default"
"""Where Kubernetes keeps the events of objects without a namespace."""

_DIGITS = 16
_LONGEST_NAME = 200
_LONGEST_NOTE = 1024
"""Bytes; the API server takes no more."""


@dataclass(frozen=True)
class EventRecord:
    """Something that has happened to an object."""

    reason: str
    message: str
    is_warning: bool = False


def build_event(
    owner: ObservedObject, said: EventRecord, now: datetime, instance: str
) -> dict[str, Any]:
    """Return the Event of `said`, written by the process `instance`.

    Its name follows from what is said and which version of `owner` it was said of: whoever says
    it twice finds it there.
    """
    key = owner.key
    known = digest(owner.uid, owner.resource_version, said.reason, said.message)[:_DIGITS]
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
            "name": f"{key.name[:_LONGEST_NAME]}.{known}",
            "namespace": key.namespace or EVENT_NAMESPACE,
        },
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"{GROUP}/operator",
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "reason": said.reason,
        "note": _shorten(said.message),
        "type": "Warning" if said.is_warning else "Normal",
        "regarding": regarding,
    }


def _shorten(message: str) -> str:
    encoded = message.encode(errors="replace")
    if len(encoded) <= _LONGEST_NOTE:
        return encoded.decode()
    return encoded[: _LONGEST_NOTE - 3].decode(errors="ignore") + "…"
