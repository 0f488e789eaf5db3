"""`tokenize`: each task turns its documents into token ids; every document ends with `</s>`."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import DatasetRun
from pretrain_api.v1alpha1.tokendataset import DatasetSummary
from pretrain_workloads.dataset.files import DatasetFiles
from pretrain_workloads.dataset.inputs import (
    FIELDS,
    MixtureInputs,
    check_parts,
    matching,
    open_inputs,
    row_groups_of,
    tokenizer_summary,
)
from pretrain_workloads.dataset.lengths import check_lengths
from pretrain_workloads.dataset.mixture import QUALITY
from pretrain_workloads.indexed_blocks import token_type
from pretrain_workloads.storage import Folder, open_artifact, open_output, read_manifest
from pretrain_workloads.tokenizer.encoder import Encoder, Ids, open_encoder

log = logging.getLogger(__name__)

_BATCH = 256
"""Documents that are encoded at once."""

DOCUMENTS = pa.schema(
    [
        ("id", pa.string()),
        ("artifact", pa.int32()),
        ("row", pa.int64()),
        ("hash", pa.binary(16)),
        ("cluster", pa.int64()),
        ("language", pa.string()),
        ("domain", pa.string()),
        ("source", pa.string()),
        ("tokens", pa.int64()),
        ("prompt", pa.int64()),
        ("quality", pa.float32()),
    ]
)
"""A tokenized document: where it lies (artifact, row of its index), the hash of its text, the
cluster of its near-duplicates in the artifact, its tokens, the end of the document included, and
how many of them, from the first on, are a prompt; its quality, if the order needs that."""

_COLUMNS = ("id", "hash", "cluster", "prompt")
"""Columns that are copied from the documents, beside `inputs.FIELDS`."""


def tokenize(run: DatasetRun, rank: int) -> ExitReport:
    """Tokenize the documents of task `rank`, unless that or the whole artifact is done.

    Raises:
        UserError: If a length or a part of the mixture is invalid.
    """
    folder, names = open_output(run), DatasetFiles(run.tasks)
    if manifest := read_manifest(folder):
        log.info("%s is already complete", run.artifact.uri)
        return ExitReport(
            exit_class=ExitClass.COMPLETE,
            artifact=run.artifact,
            reused=True,
            dataset=DatasetSummary.model_validate(manifest.summary),
        )
    check_lengths(run.spec)
    inputs = open_inputs(run)
    check_parts(run, inputs)
    if not folder.exists(names.documents(rank)):
        _tokenize(run, inputs, folder, names, rank)
    with folder.open(names.documents(rank)) as stream:
        lengths = pq.read_table(stream, columns=["tokens"])["tokens"].to_numpy()
    counts = {"documents": len(lengths), "tokens": int(lengths.sum())}
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)


@dataclass(frozen=True)
class EncodedDocuments:
    """The ids of documents, one after the other."""

    ids: Ids
    tokens: Ids
    """Number of ids of each document, the end of the document included."""
    prompts: Ids
    """How many of them, from the first on, are a prompt."""


def encode_documents(
    encode: Encoder, texts: list[str], characters: npt.NDArray[np.int32]
) -> EncodedDocuments:
    """Return the ids of `texts`, of which so many characters at the start are a prompt.

    A prompt is encoded alone, as it will be when the model is used, so that no id is part prompt
    and part completion.
    """
    if not characters.any():
        ids, tokens = encode(texts)
        return EncodedDocuments(ids, tokens, np.zeros(len(texts), np.int64))
    parts, is_prompt = list[str](), list[bool]()
    for text, size in zip(texts, characters.tolist(), strict=True):
        pair = [(text[:size], True)] if size else []
        for part, flag in [*pair, (text[size:], False)]:
            parts.append(part)
            is_prompt.append(flag)
    ids, tokens = encode(parts)
    prompt_part = np.array(is_prompt)
    ids = np.delete(ids, (np.cumsum(tokens) - 1)[prompt_part])  # their ends of the document
    tokens = tokens - prompt_part
    prompts = np.zeros(len(texts), np.int64)
    prompts[characters > 0] = tokens[prompt_part]
    return EncodedDocuments(ids, tokens[~prompt_part] + prompts, prompts)


def _tokenize(
    run: DatasetRun, inputs: MixtureInputs, folder: Folder, names: DatasetFiles, rank: int
) -> None:
    summary = tokenizer_summary(run)
    encode = open_encoder(open_artifact(run.tokenizer), summary)
    dtype = token_type(summary.vocabulary_size)
    tables = [DOCUMENTS.empty_table()]
    with folder.publish(names.tokens(rank)) as publication:
        with publication.local.open("wb") as stream:
            for table in _selected(run, inputs, rank):
                lengths, prompts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
                for batch in table.to_batches(_BATCH):
                    characters = batch["prompt"].to_numpy()
                    encoded = encode_documents(encode, batch["text"].to_pylist(), characters)
                    lengths.append(encoded.tokens)
                    prompts.append(encoded.prompts)
                    encoded.ids.astype(dtype).tofile(stream)
                described = table.drop_columns(["text", "prompt"])
                described = described.append_column("tokens", pa.array(np.concatenate(lengths)))
                described = described.append_column("prompt", pa.array(np.concatenate(prompts)))
                tables.append(described.select(DOCUMENTS.names).cast(DOCUMENTS))
    with folder.publish(names.documents(rank)) as publication:
        pq.write_table(pa.concat_tables(tables), publication.local, compression="zstd")


def _selected(run: DatasetRun, inputs: MixtureInputs, rank: int) -> Iterator[pa.Table]:
    """Yield the documents of the task that any part of the mixture selects, and where they lie."""
    by_quality = run.spec.curriculum is not None and run.spec.curriculum.by == QUALITY
    columns = [*_COLUMNS, *FIELDS, "text", *([QUALITY] if by_quality else [])]
    for group in row_groups_of(run, inputs, rank):
        with inputs.folders[group.artifact].open(group.path) as stream:
            file = pq.ParquetFile(stream)
            table = file.read_row_group(group.group, columns=columns)
        selected = np.zeros(table.num_rows, np.bool_)
        for part, artifact in zip(run.spec.mixture, inputs.part_artifact, strict=True):
            if artifact == group.artifact:
                selected |= matching(table, part.where)
        rows = np.arange(group.first_row, group.first_row + table.num_rows)
        artifacts = np.full(table.num_rows, group.artifact, np.int32)
        if not by_quality:
            table = table.append_column(QUALITY, pa.nulls(table.num_rows, pa.float32()))
        table = table.append_column("row", pa.array(rows))
        table = table.append_column("artifact", pa.array(artifacts))
        yield table.filter(pa.array(selected))
