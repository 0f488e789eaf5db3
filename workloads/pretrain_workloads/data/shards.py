"""Parquet shards of documents: written row group by row group, read by column or row group."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_workloads.storage import Folder

_GROUP_BYTES = 16 << 20
"""Data in a row group: what a reader holds in memory, and the unit that later stages share out."""

PREPARED = pa.schema(
    [
        ("id", pa.string()),
        ("origin", pa.string()),
        ("text", pa.large_string()),
        ("language", pa.string()),
        ("domain", pa.string()),
        ("source", pa.string()),
        ("quality", pa.float32()),
        ("bytes", pa.int64()),
        ("characters", pa.int64()),
        ("prompt", pa.int32()),
        ("hash", pa.binary(16)),
    ]
)
"""A document that passed the rules; `hash` is XXH3-128 of the text, `prompt` the characters at its
start that are a prompt."""

DROPPED = pa.schema(
    [
        ("id", pa.string()),
        ("origin", pa.string()),
        ("language", pa.string()),
        ("domain", pa.string()),
        ("source", pa.string()),
        ("bytes", pa.int64()),
        ("characters", pa.int64()),
        ("rule", pa.string()),
        ("reason", pa.string()),
        ("kept", pa.string()),
        ("similarity", pa.float32()),
    ]
)
"""A document that was dropped, without its text: by which rule (`3-repetition`, `exact`, `near`)
and why; of a duplicate, the origin of the document that stays, and their similarity."""

DOCUMENT = pa.schema(
    [
        ("id", pa.string()),
        ("origin", pa.string()),
        ("text", pa.large_string()),
        ("language", pa.string()),
        ("domain", pa.string()),
        ("source", pa.string()),
        ("quality", pa.float32()),
        ("bytes", pa.int64()),
        ("characters", pa.int64()),
        ("prompt", pa.int32()),
        ("hash", pa.binary(16)),
        ("cluster", pa.int64()),
        ("copies", pa.int32()),
    ]
)
"""A document of the artifact; `files.INDEX_COLUMNS` says what the columns mean."""


class ShardWriter:
    """Writes columns to a local parquet file; it holds one row group in memory."""

    def __init__(self, path: Any, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=3)
        self._batches: list[pa.RecordBatch] = []
        self._bytes = 0
        self.rows = 0

    def add(self, columns: Mapping[str, Any]) -> None:
        """Add rows: one list, array or arrow array for each column of the schema."""
        batch = pa.record_batch(
            [_column(columns[field.name], field.type) for field in self._schema],
            schema=self._schema,
        )
        self._batches.append(batch)
        self._bytes += batch.nbytes
        self.rows += batch.num_rows
        if self._bytes >= _GROUP_BYTES:
            self._flush()

    def add_table(self, table: pa.Table) -> None:
        """Add a table, as one row group."""
        self._flush()
        self._writer.write_table(table.cast(self._schema), row_group_size=max(1, table.num_rows))
        self.rows += table.num_rows

    def _flush(self) -> None:
        if self._batches:
            table = pa.Table.from_batches(self._batches, self._schema)
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._batches, self._bytes = [], 0

    def close(self) -> None:
        """Write the last row group, and close the file."""
        self._flush()
        self._writer.close()


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def text_column(utf8: bytes, offsets: npt.NDArray[np.int64]) -> pa.Array:
    """Return a column of texts without copying them.

    Args:
        utf8: The texts, one after the other.
        offsets: Offset of each text in `utf8`, and the end.
    """
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(utf8)]
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)


def hash_column(hashes: npt.NDArray[np.uint8]) -> pa.Array:
    """Return a column of 16-byte hashes, which lie one after the other in `hashes`."""
    buffers = [None, pa.py_buffer(hashes.tobytes())]
    return pa.Array.from_buffers(pa.binary(16), len(hashes) // 16, buffers)


def read_columns(folder: Folder, path: str, columns: tuple[str, ...]) -> pa.Table:
    """Return some columns of a shard, without reading the others."""
    with folder.open(path) as stream:
        return pq.read_table(stream, columns=list(columns))


def row_groups(folder: Folder, path: str) -> Iterator[pa.Table]:
    """Yield the row groups of a shard."""
    with folder.open(path) as stream:
        file = pq.ParquetFile(stream)
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)
