"""The index of all benchmarks of a spec, and the documents of a batch that hold text of one."""

from typing import Any

import numpy as np

from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.pipeline.decontamination import Decontamination
from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.batch import Batch, Rows
from pretrain_workloads.data.decontamination.ngrams import first_hits, make_table, ngram_hashes
from pretrain_workloads.data.sources.reader import read_source
from pretrain_workloads.data.text.normalisation import normalise
from pretrain_workloads.data.text.units import code_points
from pretrain_workloads.failures import UserError

CONTAMINATION_KEY = "998-decontamination"
"""Name of decontamination in counts: it comes after all rules."""

_HAN = ("zh", "ja")
_MAX_BYTES = 1 << 30
"""Text of all benchmarks together that an index may hold."""


class BenchmarkIndex:
    """The n-grams of all benchmarks.

    Args:
        spec: The spec of the pipeline.

    Raises:
        UserError: If a benchmark has no files, or holds no text.
        BadData: If a file is damaged.
    """

    def __init__(self, spec: DataPipelineSpec) -> None:
        assert spec.decontaminate is not None
        self._spec: Decontamination = spec.decontaminate
        self._names: list[str] = []
        texts: list[str] = []
        for source in self._spec.against:
            found = _texts(source, int(spec.max_record_bytes))
            if not found:
                raise UserError(f"spec.decontaminate: benchmark {source.name} holds no text")
            self._names += [position for position, _ in found]
            texts += [text for _, text in found]
        if sum(map(len, texts)) > _MAX_BYTES:
            raise UserError("spec.decontaminate: the benchmarks are larger than 1 GiB; list fewer")
        self._tables = {
            size: _table(texts, size) for size in {self._spec.ngram, self._spec.han_ngram}
        }

    def contaminated(self, batch: Batch) -> tuple[Rows, list[str]]:
        """Return the documents that hold text of a benchmark, and of which record."""
        han = np.array([language in _HAN for language in batch.languages], np.bool_)
        hits = np.full(len(batch), -1, np.int64)
        for size, rows in ((self._spec.han_ngram, han), (self._spec.ngram, ~han)):
            chosen = np.flatnonzero(rows)
            if len(chosen):
                part = batch.select(chosen)
                hashes, starts = ngram_hashes(part.points, part.offsets, size)
                hits[chosen] = first_hits(hashes, starts, self._tables[size])
        found = np.flatnonzero(hits >= 0)
        return found, [f"holds text of {self._names[hit]}" for hit in hits[found].tolist()]


def _table(texts: list[str], size: int) -> Any:
    hashes, starts = ngram_hashes(*code_points(texts), size)
    records = np.repeat(np.arange(len(texts), dtype=np.uint32), np.diff(starts))
    return make_table(hashes, records)


def _texts(source: Source, limit: int) -> list[tuple[str, str]]:
    """Return (name of the record, its text) of all records of a benchmark."""
    return [
        (origin, normalise(record.text))
        for origin, record in read_source("spec.decontaminate", source, limit)
    ]
