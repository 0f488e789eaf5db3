"""Parse values that Kubernetes objects carry as text or lists."""

from collections.abc import Mapping
from typing import Any


def true_conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the conditions of a Job's or pod's status that are true, by type."""
    return {
        item["type"]: item
        for item in status.get("conditions") or []
        if item.get("status") == "True"
    }


def parse_integer(text: str) -> int:
    """Return the number in a label or annotation; 0 if the text is not a number."""
    return int(text) if text.isascii() and text.isdigit() else 0
