"""Statuses as JSON values, ready for the API server."""

import json
from typing import Any

from pydantic import BaseModel

from pretrain_api.v1alpha1.progress import CurvePoint

_POINT = set(CurvePoint.model_fields)


def to_wire(status: BaseModel) -> dict[str, Any]:
    """Return `status` without unset fields, and without NaN and infinity.

    Such a number becomes null in JSON, which the API server rejects: its field is left out. A point
    of a curve needs its loss, so the whole point is left out.
    """
    fields = json.loads(status.model_dump_json(by_alias=True, exclude_none=True))
    return {key: _clean(value) for key, value in fields.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_clean(item) for item in value if not _is_empty_point(item)]
    return value


def _is_empty_point(item: Any) -> bool:
    """Return whether `item` is a point of a curve whose loss is no number."""
    return isinstance(item, dict) and item.keys() == _POINT and item["loss"] is None
