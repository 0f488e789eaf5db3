"""What a reader yields: the text of a record with its id and its position in the file."""

from collections.abc import Collection
from typing import Any, NamedTuple


class SourceRecord(NamedTuple):
    """A readable record of a source file; it becomes a document."""

    position: str
    """Position in the file: `byte-<offset>`, `line-<number>` or `row-<number>`."""

    id: str
    """The record's own id, or an empty string."""

    text: str

    language: str = ""
    """The record's own language, or an empty string."""

    domain: str = ""
    """The record's own domain, or an empty string."""

    prompt: int = 0
    """Characters at the start of `text` that are a prompt."""


def record_id(value: Any) -> str:
    """Return the id in a record's id field as text; empty if the field is absent or null."""
    return "" if value is None else str(value)


def text_problem(text: Any, field: str, fields: Collection[str]) -> str:
    """Return why a record's text is unusable, or an empty string.

    Args:
        text: The value of `field`.
        field: Name of the text field.
        fields: Names of all fields of the record.
    """
    if isinstance(text, str):
        return "" if text.strip() else f"{field} is empty"
    if field not in fields:
        return f"no field {field}; there are {', '.join(sorted(fields)[:8]) or 'none'}"
    return f"{field} is {'null' if text is None else type(text).__name__}, not text"
