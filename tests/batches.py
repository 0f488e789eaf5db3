"""Batches of documents for tests."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from pretrain_workloads.data.batch import Batch
from pretrain_workloads.data.text.units import Offsets, Points


def make_batch(
    texts: Sequence[str],
    *,
    ids: Sequence[str] = (),
    source: str = "source",
    domain: str = "unknown",
    language: str = "",
) -> Batch:
    """Return a batch of `texts` from one source, numbered where they have no ids."""
    origins = [f"{source}/texts#{row}" for row in range(len(texts))]
    return Batch(
        ids=list(ids) or origins,
        origins=origins,
        texts=list(texts),
        sources=[source] * len(texts),
        domains=[domain] * len(texts),
        languages=[language] * len(texts),
        scores=np.ones(len(texts), np.float32),
        prompts=np.zeros(len(texts), np.int32),
    )


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Return the documents of `batches` as one batch; they have no features."""
    columns: dict[str, Any] = {}
    for column in fields(Batch):
        values = [getattr(batch, column.name) for batch in batches]
        if isinstance(values[0], np.ndarray):
            columns[column.name] = np.concatenate(values)
        elif isinstance(values[0], list):
            columns[column.name] = [value for part in values for value in part]
    return Batch(**columns)


def points_of(texts: Sequence[str]) -> tuple[Points, Offsets]:
    """Return the code points and the offsets of `texts`, as kernels take them."""
    batch = make_batch(texts)
    return batch.points, batch.offsets
