"""Read JSON lines: each line is an object with a text field."""

from collections.abc import Iterator
from typing import Any

import orjson

from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.sources.content import read_lines
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.data.sources.quarantine import Quarantine
from pretrain_workloads.data.sources.records import SourceRecord, record_id, text_problem
from pretrain_workloads.storage import Folder


def read_jsonl(
    source: Source, folder: Folder, piece: Piece, quarantine: Quarantine
) -> Iterator[SourceRecord]:
    """Yield the records of a piece; empty lines are skipped."""
    for position, line in read_lines(folder, piece):
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            quarantine.add(source, piece.path, position, f"invalid JSON: {error}", line)
            continue
        if not isinstance(record, dict):
            reason = f"not a JSON object, but {type(record).__name__}"
            quarantine.add(source, piece.path, position, reason, line)
            continue
        text: Any = record.get(source.text_field)
        if reason := text_problem(text, source.text_field, record):
            quarantine.add(source, piece.path, position, reason, line)
            continue
        yield SourceRecord(position, record_id(record.get(source.id_field)), text)
