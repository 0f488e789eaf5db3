"""Read tables in text form (csv, tsv): the first row names the columns, each other is a record."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from pretrain_workloads.data.sources.content import opened
from pretrain_workloads.data.sources.reading import PieceReading
from pretrain_workloads.data.sources.records import SourceRecord, make_record

_DELIMITERS = ",;\t|"


def read_csv(reading: PieceReading) -> Iterator[SourceRecord]:
    """Yield the records of a file; fields in quotes may hold line ends.

    The delimiter is the one of comma, semicolon, tab and bar that the first row has most of.
    """
    with opened(reading.folder, reading.piece) as stream:
        # Bytes that are not UTF-8 become surrogates, so that one bad row is one bad record.
        text = io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline="")
        try:
            yield from _records(reading, text)
        finally:
            text.detach()


def _records(reading: PieceReading, text: io.TextIOWrapper) -> Iterator[SourceRecord]:
    head = text.readline(reading.max_record_bytes)
    delimiter = max(_DELIMITERS, key=head.count)
    names = next(csv.reader([head], delimiter=delimiter), [])
    csv.field_size_limit(reading.max_record_bytes)
    rows = csv.reader(text, delimiter=delimiter)
    number = 0
    while True:
        number += 1
        try:
            values = next(rows, None)
        except csv.Error as error:  # a field that is too long, or a stray NUL
            reading.reject(f"row-{number}", f"invalid csv: {error}", b"")
            continue
        if values is None:
            return
        if values:
            record = _record(reading, f"row-{number}", names, values)
            if isinstance(record, str):
                content = delimiter.join(values).encode("utf-8", "replace")
                reading.reject(f"row-{number}", record, content)
            else:
                yield record


def _record(
    reading: PieceReading, position: str, names: list[str], values: list[str]
) -> SourceRecord | str:
    if len(values) > len(names):
        return f"more values than columns: {len(values)}, not {len(names)}"
    fields: dict[str, Any] = dict(zip(names, values, strict=False))
    record = make_record(reading.source, position, fields)
    if not isinstance(record, str) and not record.text.isascii():
        try:
            record.text.encode()
        except UnicodeEncodeError:
            return "not UTF-8; set encoding of the source"
    return record
