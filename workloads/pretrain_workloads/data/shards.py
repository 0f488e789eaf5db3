"""Parquet shards of documents: written in row groups, read column by column."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_workloads.storage import Folder

_GROUP_BYTES = 16 << 20
"""Text of a row group: what a reader holds in memory, and the unit of later work."""

PREPARED = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.large_string()),
        ("language", pa.string()),
        ("domain", pa.string()),
        ("source", pa.string()),
        ("bytes", pa.int64()),
        ("characters", pa.int64()),
        ("hash", pa.binary(16)),
    ]
)
"""A document that passed the rules; `hash` is XXH3-128 of the text."""

DOCUMENT = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.large_string()),
        ("language", pa.string()),
        ("domain", pa.string()),
        ("source", pa.string()),
        ("quality", pa.float32()),
        ("bytes", pa.int64()),
        ("characters", pa.int64()),
        ("cluster", pa.int64()),
        ("copies", pa.int32()),
    ]
)
"""A document of the artifact (`layout.INDEX_COLUMNS`)."""


class ShardWriter:
    """Writes rows to a local parquet file; memory is bounded by one row group."""

    def __init__(self, path: Any, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=3)
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self.rows = 0

    def add(self, row: dict[str, Any]) -> None:
        """Add one row; `bytes` of it is the size of its text."""
        self._rows.append(row)
        self._bytes += row["bytes"]
        self.rows += 1
        if self._bytes >= _GROUP_BYTES:
            self._flush()

    def add_table(self, table: pa.Table) -> None:
        """Add rows that are a table already, as one row group."""
        self._flush()
        self._writer.write_table(table.cast(self._schema))
        self.rows += table.num_rows

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._bytes = [], 0

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        self._writer.close()


def read_columns(folder: Folder, path: str, columns: tuple[str, ...]) -> pa.Table:
    """Return some columns of a shard; only they are read from storage."""
    with folder.open(path) as stream:
        return pq.read_table(stream, columns=list(columns))


def row_groups(folder: Folder, path: str) -> Iterator[pa.Table]:
    """Yield a shard, row group by row group."""
    with folder.open(path) as stream:
        file = pq.ParquetFile(stream)
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)
