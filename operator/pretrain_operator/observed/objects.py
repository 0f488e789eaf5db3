"""Objects of our kinds, as the API server sent them; their specs are parsed later."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

_MAX_DIGITS = 18


@dataclass(frozen=True, order=True)
class Key:
    """Identifies an object of our kinds; the namespace of cluster-scoped kinds is empty."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return the key for a log message."""
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


class ObjectReader(Protocol):
    """Looks up objects of our kinds: in a store, in a list, or among manifests."""

    def get(self, key: Key) -> ObservedObject | None:
        """Return the object `key`, if there is one."""

    def all(self, kind: str) -> Sequence[ObservedObject]:
        """Return all objects of one kind."""


class ListedObjects:
    """ObjectReader over a list or manifests; of two objects with the same key the later counts."""

    def __init__(self, objects: Iterable[ObservedObject] = ()) -> None:
        self._objects: Mapping[Key, ObservedObject] = {item.key: item for item in objects}

    def __iter__(self) -> Iterator[ObservedObject]:
        """Yield all of them."""
        return iter(self._objects.values())

    def get(self, key: Key) -> ObservedObject | None:
        """Return the object `key`, if there is one."""
        return self._objects.get(key)

    def all(self, kind: str) -> list[ObservedObject]:
        """Return all objects of one kind."""
        return [item for item in self._objects.values() if item.key.kind == kind]


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
        spec=_mapping(body.get("spec")),
        status=_mapping(body.get("status")),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    """Return `value`; empty if it is no mapping: an older CRD may have let that through."""
    return value if isinstance(value, Mapping) else {}


def controller_of(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the owner reference to the controller of an object; empty if it has none."""
    owners = metadata.get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def true_conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the conditions of a Job's or pod's status that are true, by type."""
    return {
        item["type"]: item
        for item in status.get("conditions") or []
        if item.get("status") == "True"
    }


def parse_integer(text: str) -> int:
    """Return the number in a label or annotation; 0 if the text is no number of 64 bits.

    Users can write both. Python refuses to read thousands of digits, and the API server refuses a
    status with more than 64 bits.
    """
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if is_number else 0
