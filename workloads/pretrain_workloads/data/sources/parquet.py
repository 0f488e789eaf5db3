"""Read parquet files: each row is a record; a piece is a row group.

pyarrow is imported when it is used: pods that read no parquet start faster.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pretrain_workloads.data.sources.content import Damage
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.data.sources.quarantine import MAX_RECORD_BYTES
from pretrain_workloads.data.sources.reading import PieceReading
from pretrain_workloads.data.sources.records import SourceRecord, make_record, used_fields
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.storage import Folder

_BATCH_ROWS = 1024
"""Rows that are decoded at once, at most."""

_BATCH_BYTES = 16 << 20
"""Bytes of rows that are decoded at once, about."""


def cut_row_groups(folder: Folder, piece: Piece, target: float) -> list[Piece]:
    """Return one piece for each row group of a parquet file.

    Raises:
        BadData: If it is not a parquet file, or its footer is damaged.
    """
    import pyarrow.parquet as pq

    with folder.open(piece.path) as stream:
        try:
            with _damage():
                footer = pq.ParquetFile(stream).metadata
        except Damage as error:
            raise BadData(
                f"{folder.uri_of(piece.path)}: is no parquet file, or {error}; upload it again, or"
                " leave it out of the source"
            ) from error
    pieces, first_row = [], 0
    for group in range(footer.num_row_groups):
        rows = footer.row_group(group).num_rows
        size = max(1, piece.size * rows // max(1, footer.num_rows))
        pieces.append(
            replace(piece, start=group, end=group + 1, first_row=first_row, part_bytes=size)
        )
        first_row += rows
    return pieces


def read_parquet(reading: PieceReading) -> Iterator[SourceRecord]:
    """Yield the records of a piece.

    Raises:
        Damage: If the rest of the file cannot be decoded.
        UserError: If it lacks the text column.
    """
    import pyarrow.parquet as pq

    piece = reading.piece
    with reading.folder.open(piece.path) as stream, _damage():
        file = pq.ParquetFile(stream)
        columns = _columns(reading, file.schema_arrow.names)
        groups = range(piece.start, piece.end if piece.end else file.num_row_groups)
        row = piece.first_row
        rows = _batch_rows(file.metadata)
        for batch in file.iter_batches(rows, row_groups=list(groups), columns=columns):
            yield from _records(reading, {name: _values(batch[name]) for name in columns}, row)
            row += batch.num_rows


def _batch_rows(footer: Any) -> int:
    size = sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))
    fitting: int = _BATCH_BYTES * footer.num_rows // max(1, size)
    return max(1, min(_BATCH_ROWS, fitting))


@contextmanager
def _damage() -> Iterator[None]:
    """Translate what pyarrow raises for files that it cannot decode."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the network or the disk failed; the file may be good
        raise Damage(f"is damaged ({error})") from error


def _columns(reading: PieceReading, names: list[str]) -> list[str]:
    """Return the columns to read.

    Raises:
        UserError: If there is no text column.
    """
    source = reading.source
    wanted = [name for name in used_fields(source) if name in names]
    texts = [source.text_field] if source.text_field else ["text", "content", "completion"]
    if not any(name in names for name in texts):
        raise UserError(
            f"{reading.uri}: has no column {' or '.join(map(repr, texts))}; set "
            f"textField of source {source.name} to one of {', '.join(names)}"
        )
    return wanted


def _values(column: Any) -> list[Any]:
    """Return the values of a column; bytes where a text is not UTF-8."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        try:
            values: list[Any] = column.to_pylist()
        except UnicodeDecodeError:
            column = column.cast(pa.large_binary())
        else:
            return values
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return [_decoded(value) for value in column.to_pylist()]
    plain: list[Any] = column.to_pylist()
    return plain


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _records(
    reading: PieceReading, columns: dict[str, list[Any]], first: int
) -> Iterator[SourceRecord]:
    names = list(columns)
    for row, values in enumerate(zip(*columns.values(), strict=True), first):
        fields = dict(zip(names, values, strict=True))
        record = _too_long(reading, fields) or make_record(reading.source, f"row-{row}", fields)
        if isinstance(record, str):
            if "is bytes" in record:
                record = "text is not UTF-8"
            reading.reject(f"row-{row}", record, repr(values)[:MAX_RECORD_BYTES].encode())
        else:
            yield record


def _too_long(reading: PieceReading, fields: dict[str, Any]) -> str:
    limit = reading.max_record_bytes
    if sum(len(value) for value in fields.values() if isinstance(value, str | bytes)) <= limit:
        return ""
    return f"record is too long: more than {limit:,} bytes; see spec.maxRecordBytes"
