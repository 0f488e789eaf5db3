"""Read parquet files: each row is a record; a piece is a row group.

pyarrow is imported when it is used: pods that read no parquet start faster.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.sources.content import damaged
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.data.sources.quarantine import MAX_RECORD_BYTES, Quarantine
from pretrain_workloads.data.sources.records import SourceRecord, record_id, text_problem
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.storage import Folder

_BATCH_ROWS = 1024
"""Rows that are decoded at once."""


def cut_row_groups(folder: Folder, piece: Piece, target: float) -> list[Piece]:
    """Return one piece for each row group of a parquet file.

    Raises:
        BadData: If it is not a parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with folder.open(piece.path) as stream:
        try:
            footer = pq.ParquetFile(stream).metadata
        except pa.ArrowInvalid as error:
            raise BadData(f"{folder.uri_of(piece.path)}: is no parquet file: {error}") from error
    pieces, first_row = [], 0
    for group in range(footer.num_row_groups):
        rows = footer.row_group(group).num_rows
        size = max(1, piece.size * rows // max(1, footer.num_rows))
        pieces.append(
            replace(piece, start=group, end=group + 1, first_row=first_row, part_bytes=size)
        )
        first_row += rows
    return pieces


def read_parquet(
    source: Source, folder: Folder, piece: Piece, quarantine: Quarantine
) -> Iterator[SourceRecord]:
    """Yield the records of a piece.

    Raises:
        BadData: If the file is damaged.
        UserError: If it lacks the text column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with folder.open(piece.path) as stream:
        try:
            file = pq.ParquetFile(stream)
            columns = _columns(source, folder.uri_of(piece.path), file.schema_arrow.names)
            groups = range(piece.start, piece.end if piece.end else file.num_row_groups)
            row = piece.first_row
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=list(groups), columns=columns):
                yield from _records(source, piece.path, batch.to_pydict(), row, quarantine)
                row += batch.num_rows
        except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the network or the disk failed; the file may be good
            raise damaged(folder, piece, stream, error) from error


def _columns(source: Source, uri: str, names: list[str]) -> list[str]:
    """Return the columns to read.

    Raises:
        UserError: If there is no text column.
    """
    if source.text_field not in names:
        raise UserError(
            f"{uri}: has no column {source.text_field!r}; set "
            f"textField of source {source.name} to one of {', '.join(names)}"
        )
    return [n for n in dict.fromkeys((source.text_field, source.id_field)) if n in names]


def _records(
    source: Source, path: str, columns: dict[str, list[Any]], first: int, quarantine: Quarantine
) -> Iterator[SourceRecord]:
    texts = columns[source.text_field]
    ids = columns.get(source.id_field) or [None] * len(texts)
    for row, (text, value) in enumerate(zip(texts, ids, strict=True), first):
        if reason := text_problem(text, source.text_field, columns):
            content = repr(text)[:MAX_RECORD_BYTES].encode()
            quarantine.add(source, path, f"row-{row}", reason, content)
        else:
            yield SourceRecord(f"row-{row}", record_id(value), text)
