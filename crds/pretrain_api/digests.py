"""Content digests: two artifacts with one digest were computed from the same inputs."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

SHORT = 12
"""Hexadecimal digits of a digest in paths, names and labels."""


def digest(*parts: Any) -> str:
    """Return the SHA-256 of `parts` (JSON values), in hexadecimal.

    Keys are sorted and separators fixed, so the order of fields in a manifest does not matter.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_NO_CONTENT = ("profileRef", "parallelism", "tasks")
"""Fields of every data kind that change how an artifact is computed, but not its content."""

_SECRET = "credentialsSecretRef"


def content_of(
    spec: BaseModel, leave_out: Sequence[str] = (), with_defaults: bool = False
) -> dict[str, Any]:
    """Return the fields of a data kind's spec that determine its artifact, and not who computes it.

    Args:
        spec: The spec of a DataPipeline, a Tokenizer or a TokenDataset.
        leave_out: Fields that do not count either.
        with_defaults: Whether fields at their defaults count. Without them, a new field of a later
            version changes nothing.
    """
    fields = spec.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude_defaults=not with_defaults
    )
    return {
        key: _without_secrets(value)
        for key, value in fields.items()
        if key not in (*_NO_CONTENT, *leave_out)
    }


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(item) for key, item in value.items() if key != _SECRET}
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value


def short(full: str) -> str:
    """Return the part of a digest that paths, names and labels carry."""
    return full[:SHORT]
