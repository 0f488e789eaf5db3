"""Content digests: two artifacts with one digest were computed from the same inputs."""

import hashlib
import json
from typing import Any

SHORT = 12
"""Hexadecimal digits of a digest in paths, names and labels."""


def digest(*parts: Any) -> str:
    """Return the SHA-256 of `parts` (JSON values), in hexadecimal.

    Keys are sorted and separators fixed, so the order of fields in a manifest does not matter.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def short(full: str) -> str:
    """Return the part of a digest that paths, names and labels carry."""
    return full[:SHORT]
