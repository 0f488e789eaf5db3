"""Read JSON lines: each line is an object with a text field."""

import json
from collections.abc import Iterator
from typing import Any

import orjson

from pretrain_workloads.data.sources.content import Line, read_lines
from pretrain_workloads.data.sources.reading import PieceReading
from pretrain_workloads.data.sources.records import SourceRecord, make_record

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NOT_JSON = (b"NaN", b"Infinity")
"""What Python's and pandas' JSON writes for floats, though JSON has no such numbers."""


def read_jsonl(reading: PieceReading) -> Iterator[SourceRecord]:
    """Yield the records of a piece; empty lines are skipped."""
    source = reading.source
    for line in read_lines(reading.folder, reading.piece, reading.max_record_bytes):
        fields = _fields(line)
        if fields is None:
            continue
        record = fields if isinstance(fields, str) else make_record(source, line.position, fields)
        if isinstance(record, str):
            reading.reject(line.position, record, line.content)
        else:
            yield record


def _fields(line: Line) -> dict[str, Any] | str | None:
    """Return the fields of a record, or why it has none, or `None` for an empty line."""
    content = line.content
    if line.too_long:
        return f"record is too long: more than {len(content):,} bytes; see spec.maxRecordBytes"
    if line.position in ("byte-0", "line-1"):
        content = content.removeprefix(_BYTE_ORDER_MARK)
    if not content or content.isspace():
        return None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if not any(name in content for name in _NOT_JSON):
            return f"invalid JSON: {error}"
        try:
            value = json.loads(content)
        except ValueError:
            return f"invalid JSON: {error}"
    if not isinstance(value, dict):
        return f"not a JSON object, but {type(value).__name__}"
    return value
