"""`tokenize`: one task turns its documents into token ids; every document ends with `</s>`."""

import logging
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sentencepiece

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import DatasetRun
from pretrain_api.v1alpha1.tokendataset import DatasetSummary
from pretrain_api.v1alpha1.tokenizer import TokenizerSummary
from pretrain_workloads.dataset.inputs import (
    FIELDS,
    Inputs,
    check_lengths,
    check_parts,
    matching,
    open_inputs,
    row_groups_of,
)
from pretrain_workloads.dataset.layout import Work
from pretrain_workloads.failures import UserError
from pretrain_workloads.indexed_blocks import token_type
from pretrain_workloads.storage import Folder, open_artifact, read_manifest
from pretrain_workloads.tokenizer.build import MODEL

log = logging.getLogger(__name__)

_BATCH = 256
"""Documents that are encoded at once."""

DOCUMENTS = pa.schema(
    [
        ("id", pa.string()),
        ("artifact", pa.int32()),
        ("language", pa.string()),
        ("domain", pa.string()),
        ("source", pa.string()),
        ("tokens", pa.int64()),
    ]
)
"""A tokenized document; `tokens` counts the end of the document."""


def output_folder(run: DatasetRun) -> Folder:
    """Return the folder of the artifact that `run` makes."""
    reference = run.spec.output.credentials_secret_ref
    return open_artifact(run.artifact, reference.name if reference else None)


def tokenizer_summary(run: DatasetRun) -> TokenizerSummary:
    """Return what the tokenizer artifact of `run` is.

    Raises:
        UserError: If it is not complete.
    """
    manifest = read_manifest(open_artifact(run.tokenizer))
    if manifest is None:
        raise UserError(f"{run.tokenizer.uri}: holds no complete tokenizer; run it again")
    return TokenizerSummary.model_validate(manifest.summary)


def tokenize(run: DatasetRun, rank: int) -> ExitReport:
    """Tokenize the share of task `rank`, unless that or the whole artifact is done.

    Raises:
        UserError: If the spec fits no documents.
    """
    folder, work = output_folder(run), Work(run.tasks)
    if manifest := read_manifest(folder):
        log.info("%s is complete already", run.artifact.uri)
        return ExitReport(
            exit_class=ExitClass.COMPLETE,
            artifact=run.artifact,
            reused=True,
            dataset=DatasetSummary.model_validate(manifest.summary),
        )
    check_lengths(run.spec)
    inputs = open_inputs(run)
    check_parts(run, inputs)
    if not folder.exists(work.documents(rank)):
        _tokenize(run, inputs, folder, work, rank)
    with folder.open(work.documents(rank)) as stream:
        lengths = pq.read_table(stream, columns=["tokens"])["tokens"].to_numpy()
    counts = {"documents": len(lengths), "tokens": int(lengths.sum())}
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)


def _tokenize(run: DatasetRun, inputs: Inputs, folder: Folder, work: Work, rank: int) -> None:
    summary = tokenizer_summary(run)
    model = open_artifact(run.tokenizer).read_bytes(MODEL)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    dtype = token_type(summary.vocabulary_size)
    tables = [DOCUMENTS.empty_table()]
    with folder.publish(work.tokens(rank)) as publication:
        with publication.local.open("wb") as stream:
            for table, artifact in _wanted(run, inputs, rank):
                lengths = [np.empty(0, np.int64)]
                for batch in table.to_batches(_BATCH):
                    ids = processor.encode(batch["text"].to_pylist(), add_eos=True, num_threads=1)
                    lengths.append(np.fromiter(map(len, ids), np.int64, len(ids)))
                    _flat(ids, int(lengths[-1].sum()), dtype).tofile(stream)
                tables.append(_described(table, artifact, np.concatenate(lengths)))
    with folder.publish(work.documents(rank)) as publication:
        pq.write_table(pa.concat_tables(tables), publication.local, compression="zstd")


def _flat(ids: list[list[int]], total: int, dtype: np.dtype[Any]) -> Any:
    return np.fromiter(chain.from_iterable(ids), dtype, total)


def _wanted(run: DatasetRun, inputs: Inputs, rank: int) -> Iterator[tuple[pa.Table, int]]:
    """Yield the documents of the task's row groups that any part of the mixture chooses."""
    for group in row_groups_of(run, inputs, rank):
        with inputs.folders[group.artifact].open(group.path) as stream:
            file = pq.ParquetFile(stream)
            table = file.read_row_group(group.group, columns=["id", *FIELDS, "text"])
        chosen = np.zeros(table.num_rows, np.bool_)
        for part, artifact in zip(run.spec.mixture, inputs.part_artifact, strict=True):
            if artifact == group.artifact:
                chosen |= matching(table, part.where)
        yield table.filter(pa.array(chosen)), group.artifact


def _described(table: pa.Table, artifact: int, lengths: Any) -> pa.Table:
    columns = {
        "id": table["id"],
        "artifact": pa.array(np.full(table.num_rows, artifact, np.int32)),
        **{field: table[field] for field in FIELDS},
        "tokens": pa.array(lengths),
    }
    return pa.table(columns, schema=DOCUMENTS)
