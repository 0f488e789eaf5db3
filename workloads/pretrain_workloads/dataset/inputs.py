"""What a TokenDataset reads: the artifacts of its mixture, each once, and who reads which part."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain_api.runs import DatasetRun
from pretrain_api.v1alpha1.tokendataset import MixturePart, TokenDatasetSpec, Where
from pretrain_workloads.data.documents import document_shards, read_index
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, open_artifact

FIELDS = ("language", "domain", "source")
"""What a part of the mixture chooses documents by."""


@dataclass(frozen=True)
class Inputs:
    """The artifacts that the mixture draws from."""

    folders: list[Folder]
    """Each artifact once."""

    part_artifact: list[int]
    """For each part of the mixture, its artifact."""


@dataclass(frozen=True)
class RowGroup:
    """A part of a shard of documents that one task tokenizes."""

    artifact: int
    path: str
    group: int
    bytes: int


def check_lengths(spec: TokenDatasetSpec) -> None:
    """Refuse lengths that hold no sequence.

    Raises:
        UserError: Names the field, its value and what would do.
    """
    length = spec.sequence_length
    if spec.block_tokens < length:
        raise UserError(
            f"spec.blockTokens: {spec.block_tokens} is less than one sequence of "
            f"{length} tokens; use {length} or more"
        )
    if spec.tokens < length:
        raise UserError(
            f"spec.tokens: {spec.tokens} is less than one sequence of {length} tokens; "
            f"use {length} or more"
        )


def open_inputs(run: DatasetRun) -> Inputs:
    """Return the artifacts of the mixture."""
    uris = list(dict.fromkeys(documents.uri for documents in run.documents))
    first = {documents.uri: documents for documents in reversed(run.documents)}
    return Inputs(
        [open_artifact(first[uri]) for uri in uris],
        [uris.index(documents.uri) for documents in run.documents],
    )


def check_parts(run: DatasetRun, inputs: Inputs) -> None:
    """Refuse a part of the mixture that matches no documents.

    Raises:
        UserError: Names the parts, and what the documents have.
    """
    problems = []
    for number, part in enumerate(run.spec.mixture):
        index = read_index(inputs.folders[inputs.part_artifact[number]], FIELDS)
        if not matching(index, part.where).any():
            problems.append(_no_match(number, part, index))
    if problems:
        raise UserError("; ".join(problems))


def _no_match(number: int, part: MixturePart, index: pa.Table) -> str:
    wanted = ", ".join(f"{k} {v}" for k, v in part.where.model_dump(exclude_none=True).items())
    there = "; ".join(
        f"{field}: {', '.join(sorted(pc.unique(index[field]).to_pylist())) or 'none'}"
        for field in FIELDS
    )
    return (
        f"spec.mixture[{number}]: no document of {part.pipeline_ref.name} matches "
        f"{wanted or 'anything'}; it has {there}"
    )


def matching(documents: pa.Table, where: Where) -> npt.NDArray[np.bool_]:
    """Return which documents (columns `FIELDS`) a part of the mixture chooses."""
    chosen = np.ones(documents.num_rows, np.bool_)
    for field in FIELDS:
        value = getattr(where, field)
        if value is not None:
            chosen &= np.asarray(pc.equal(documents[field], value).to_pylist(), np.bool_)
    return chosen


def row_groups_of(run: DatasetRun, inputs: Inputs, rank: int) -> list[RowGroup]:
    """Return what task `rank` tokenizes: consecutive row groups of about the same size."""
    groups = [
        group
        for artifact, folder in enumerate(inputs.folders)
        for path in document_shards(folder)
        for group in _footer(folder, artifact, path)
    ]
    total = sum(group.bytes for group in groups)
    mine, before = [], 0
    for group in groups:
        middle = before + group.bytes / 2
        if min(run.tasks - 1, int(middle / max(1, total) * run.tasks)) == rank:
            mine.append(group)
        before += group.bytes
    return mine


def _footer(folder: Folder, artifact: int, path: str) -> list[RowGroup]:
    with folder.open(path) as stream:
        footer = pq.ParquetFile(stream).metadata
    return [
        RowGroup(artifact, path, group, footer.row_group(group).total_byte_size)
        for group in range(footer.num_row_groups)
    ]
