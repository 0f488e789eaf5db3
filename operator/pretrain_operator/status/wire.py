"""Statuses as JSON values, ready for the API server."""

import json
from typing import Any

from pydantic import BaseModel


def to_wire(status: BaseModel) -> dict[str, Any]:
    """Return `status` without unset fields, and without NaN and infinity.

    Such a number becomes null in JSON, which the API server rejects: its field, or its point of a
    curve, is left out.
    """
    fields = json.loads(status.model_dump_json(by_alias=True, exclude_none=True))
    return {key: _clean(value) for key, value in fields.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_clean(item) for item in value if not _has_null(item)]
    return value


def _has_null(item: Any) -> bool:
    return item is None or (isinstance(item, dict) and None in item.values())
