"""Errors of a reconcile: how a request to the API server fails, and what is not ready."""

from collections.abc import Mapping
from typing import Any

from pretrain_api.conditions import Reason


class Refused(Exception):
    """The API server rejects a request; it will do so again until the user changes something."""


class Unavailable(Exception):
    """The API server does not answer, or cannot serve the request now: it is retried."""


class NameConflict(Exception):
    """An object that the owner does not control has the name of a child; it was not changed."""

    def __init__(self, kind: str, metadata: Mapping[str, Any]) -> None:
        super().__init__(f"{kind} {metadata['name']} belongs to another object")
        self.kind, self.metadata = kind, metadata


class DependencyNotReady(Exception):
    """Something that an object refers to does not exist, or is not ready."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
