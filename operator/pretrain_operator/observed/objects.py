"""Objects of our kinds, as the API server sent them; their specs are parsed later."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel

from pretrain_api.problems import parse

_MAX_DIGITS = 18
"""Digits that always fit into 64 bits, as numbers in a status must."""


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
    """One version of an object of one of our kinds.

    `spec` and `status` are as they were read; `read_spec` and `read_status` parse them, once for
    each version.
    """

    key: Key
    uid: str
    generation: int
    resource_version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    deleting: bool
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    finalizers: tuple[str, ...] = ()
    """What has to happen before a deleted object is gone; none of them is ours."""
    parsed: dict[type[BaseModel], BaseModel] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )
    """Spec and status by type, as far as they have been parsed."""


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
        finalizers=tuple(meta.get("finalizers") or ()),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    """Return `value`; empty if it is no mapping: an older CRD may have let that through."""
    return value if isinstance(value, Mapping) else {}


def read_spec[M: BaseModel](model: type[M], observed: ObservedObject) -> M:
    """Return the spec of `observed`.

    Raises:
        InvalidManifest: If it is not a `model`.
    """
    spec = observed.parsed.get(model)
    if not isinstance(spec, model):
        spec = observed.parsed[model] = parse(model, dict(observed.spec))
    return spec


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
    """Return the number in a label or annotation; 0 if the text is not a number, or a huge one.

    Anybody may write such a text; Python refuses to convert one of thousands of digits.
    """
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if is_number else 0
