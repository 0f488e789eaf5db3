"""Requests to the API server in memory: their paths and selectors, and the responses."""

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Name = tuple[str, str, str]
"""Plural of the kind, namespace (empty for cluster-scoped kinds) and name."""


@dataclass(frozen=True)
class Target:
    """The object, or the collection, that a request is about."""

    plural: str
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> Name:
        """Return the name of the object."""
        return self.plural, self.namespace, self.name


@dataclass
class Content:
    """The body of a response, as a stream."""

    data: bytes

    async def read(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        head, self.data = self.data[:size], self.data[size:]
        return head


@dataclass
class Response:
    """A response, with the methods of aiohttp's that the operator calls."""

    body: bytes
    content: Content = field(init=False)

    def __post_init__(self) -> None:
        self.content = Content(self.body)

    async def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    def close(self) -> None:
        """Do nothing: there is no connection."""


def parse_path(path: str) -> Target:
    """Return the target of `/api/v1/…` or `/apis/GROUP/VERSION/…`."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    return Target(rest[0], namespace, name, "/".join(rest[2:]))


def is_selected(body: Json, label: str | None, fields: str | None) -> bool:
    """Return whether an object has a label, and the values of a field selector."""
    if label is not None and label not in (body["metadata"].get("labels") or {}):
        return False
    for term in fields.split(",") if fields else ():
        path, _, want = term.partition("=")
        value: Any = body
        for part in path.split("."):
            value = (value or {}).get(part)
        if value != want:
            return False
    return True
