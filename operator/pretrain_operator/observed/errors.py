"""How a request to the API server fails."""

from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """The API server does not take a request as it is: somebody has to change something."""


class Unavailable(Exception):
    """The API server does not answer, or cannot take the request now: time will heal it."""


class NameConflict(Exception):
    """An object that the owner does not control has the name of a child; it was not touched."""

    def __init__(self, kind: str, metadata: Mapping[str, Any]) -> None:
        super().__init__(f"{kind} {metadata['name']} belongs to another object")
        self.kind, self.metadata = kind, metadata
