"""What became of the documents of each source and domain, and of documents of each length.

All documents that were read are either in the index or in the tables of dropped ones.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from pretrain_workloads.data.files import dropped
from pretrain_workloads.data.shards import read_columns
from pretrain_workloads.storage import Folder

DIMENSIONS = ("source", "domain")

_MOST_VALUES = 50
"""Sources or domains that are listed, the largest first."""

_MOST_TRACKED = 10_000
"""Values that are counted; further ones count as `OTHERS`: a domain may be a record's URL."""

OTHERS = "(others)"

_COLUMNS = ("source", "domain", "language", "rule", "bytes", "characters")

_LENGTHS = 24
"""Classes of length: up to 1, 2, 4, … characters."""

_KEPT = ""
"""Step of documents that stay."""


def dropped_tables(folder: Folder, tasks: int) -> Iterator[pa.Table]:
    """Yield the dropped documents of each task."""
    for rank in range(tasks):
        yield read_columns(folder, dropped(rank), _COLUMNS)


def funnels(index: pa.Table, lost: Iterable[pa.Table]) -> dict[str, Any]:
    """Return for each source and domain what was read and kept and what each step dropped.

    Args:
        index: The index of the kept documents.
        lost: Tables of the dropped ones.

    Returns:
        `source` and `domain`: by value, the documents and bytes that were read and kept, and the
        documents that each step dropped. `lengths`: documents that were read and that were kept, by
        class: up to 1, 2, 4, … characters. `quality`: kept documents by tenth of their score.
    """
    counts: dict[str, dict[str, Counter[str]]] = {name: {} for name in DIMENSIONS}
    sizes: dict[str, dict[str, Counter[str]]] = {name: {} for name in DIMENSIONS}
    kept = _by_length(index)
    read = np.zeros_like(kept)
    for table in chain([_as_step(index)], lost):
        read += _by_length(table)
        for dimension in DIMENSIONS:
            groups = table.group_by([dimension, "rule"]).aggregate(
                [("bytes", "count"), ("bytes", "sum")]
            )
            for row in groups.to_pylist():
                of, step = row[dimension], row["rule"]
                if of not in counts[dimension] and len(counts[dimension]) >= _MOST_TRACKED:
                    of = OTHERS
                counts[dimension].setdefault(of, Counter())[step] += row["bytes_count"]
                sizes[dimension].setdefault(of, Counter())[step] += row["bytes_sum"]
    return {
        **{name: _rows(counts[name], sizes[name]) for name in DIMENSIONS},
        "lengths": {"read": read.tolist(), "kept": kept.tolist()},
        "quality": _by_tenth(index),
    }


def _as_step(index: pa.Table) -> pa.Table:
    """Return the kept documents with the columns of dropped ones."""
    names = [name for name in _COLUMNS if name != "rule"]
    return index.select(names).append_column("rule", pa.repeat(_KEPT, index.num_rows))


def _by_length(table: pa.Table) -> Any:
    characters = np.maximum(1, table["characters"].to_numpy())
    classes = np.minimum(_LENGTHS - 1, np.ceil(np.log2(characters)).astype(np.int64))
    return np.bincount(classes, minlength=_LENGTHS)


def _by_tenth(index: pa.Table) -> list[int]:
    scores = index["quality"].drop_null().to_numpy()
    if not len(scores):
        return []
    tenths = np.minimum(9, (scores * 10).astype(np.int64))
    return [int(count) for count in np.bincount(tenths, minlength=10)]


def _rows(
    counts: dict[str, Counter[str]], sizes: dict[str, Counter[str]]
) -> dict[str, dict[str, Any]]:
    largest = sorted(counts, key=lambda value: (-sizes[value].total(), value))[:_MOST_VALUES]
    return {
        value: {
            "read": counts[value].total(),
            "kept": counts[value][_KEPT],
            "bytesRead": sizes[value].total(),
            "bytesKept": sizes[value][_KEPT],
            "dropped": {
                step: count for step, count in sorted(counts[value].items()) if step != _KEPT
            },
        }
        for value in largest
    }
