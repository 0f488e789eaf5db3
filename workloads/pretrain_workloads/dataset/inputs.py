"""The inputs of a TokenDataset: its tokenizer, the artifacts of its mixture, and who reads what."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain_api.runs import DatasetRun
from pretrain_api.v1alpha1.tokendataset import MixturePart, Where
from pretrain_api.v1alpha1.tokenizer import TokenizerSummary
from pretrain_workloads.data.documents import document_shards, read_index
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, open_artifact, read_manifest

FIELDS = ("language", "domain", "source")
"""Columns of the index by which a part of the mixture selects documents."""


@dataclass(frozen=True)
class MixtureInputs:
    """The artifacts of documents that the mixture draws from."""

    folders: list[Folder]
    """Folder of each artifact, once."""

    digests: list[str]
    """Digest of each artifact."""

    part_artifact: list[int]
    """For each part of the mixture, the index of its artifact."""


@dataclass(frozen=True)
class RowGroup:
    """A row group of a shard of documents; one task tokenizes it."""

    artifact: int
    path: str
    group: int
    bytes: int
    first_row: int
    """Rows of the artifact before it; rows are numbered as in its index, whatever its shards."""


def tokenizer_summary(run: DatasetRun) -> TokenizerSummary:
    """Return the summary of the tokenizer of `run`.

    Raises:
        UserError: If its artifact is incomplete.
    """
    manifest = read_manifest(open_artifact(run.tokenizer))
    if manifest is None:
        raise UserError(f"{run.tokenizer.uri}: holds no complete tokenizer; run it again")
    return TokenizerSummary.model_validate(manifest.summary)


def open_inputs(run: DatasetRun) -> MixtureInputs:
    """Open the artifacts of the mixture."""
    uris = list(dict.fromkeys(documents.uri for documents in run.documents))
    first = {documents.uri: documents for documents in reversed(run.documents)}
    return MixtureInputs(
        [open_artifact(first[uri]) for uri in uris],
        [first[uri].digest for uri in uris],
        [uris.index(documents.uri) for documents in run.documents],
    )


def check_parts(run: DatasetRun, inputs: MixtureInputs) -> None:
    """Refuse a part of the mixture that matches no documents.

    Raises:
        UserError: Names the parts, and the values that the documents have.
    """
    problems = []
    for number, part in enumerate(run.spec.mixture):
        index = read_index(inputs.folders[inputs.part_artifact[number]], FIELDS)
        if not matching(index, part.where).any():
            problems.append(_no_match(number, part, index))
    if problems:
        raise UserError("; ".join(problems))


def _no_match(number: int, part: MixturePart, index: pa.Table) -> str:
    selector = ", ".join(f"{k} {v}" for k, v in part.where.model_dump(exclude_none=True).items())
    available = "; ".join(
        f"{field}: {', '.join(sorted(pc.unique(index[field]).to_pylist())) or 'none'}"
        for field in FIELDS
    )
    return (
        f"spec.mixture[{number}]: no document of {part.pipeline_ref.name} matches "
        f"{selector or 'anything'}; it has {available}"
    )


def matching(documents: pa.Table, where: Where) -> npt.NDArray[np.bool_]:
    """Return which documents (a table with `FIELDS`) a part of the mixture selects."""
    selected = np.ones(documents.num_rows, np.bool_)
    for field in FIELDS:
        value = getattr(where, field)
        if value is not None:
            selected &= np.asarray(pc.equal(documents[field], value).to_pylist(), np.bool_)
    return selected


def row_groups_of(run: DatasetRun, inputs: MixtureInputs, rank: int) -> list[RowGroup]:
    """Return the row groups of task `rank`: consecutive ones, about as many bytes for each task."""
    groups = [
        group
        for artifact, folder in enumerate(inputs.folders)
        for group in _row_groups(folder, artifact)
    ]
    total = sum(group.bytes for group in groups)
    share, before = [], 0
    for group in groups:
        middle = before + group.bytes / 2
        if min(run.tasks - 1, int(middle / max(1, total) * run.tasks)) == rank:
            share.append(group)
        before += group.bytes
    return share


def _row_groups(folder: Folder, artifact: int) -> list[RowGroup]:
    """Return the row groups of all shards of an artifact, in the order of its index."""
    groups, first_row = [], 0
    for path in document_shards(folder):
        with folder.open(path) as stream:
            footer = pq.ParquetFile(stream).metadata
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            groups.append(RowGroup(artifact, path, number, group.total_byte_size, first_row))
            first_row += group.num_rows
    return groups
