"""Read the pieces of a task as batches of documents."""

from collections.abc import Iterator

import numpy as np

from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.data.sources.formats import FORMATS
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.data.sources.quarantine import Quarantine
from pretrain_workloads.data.sources.records import SourceRecord
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder

BATCH_DOCUMENTS = 2048
"""Most documents of a batch."""

BATCH_CHARACTERS = 1 << 20
"""A batch ends with the document that reaches so many characters: it bounds what steps hold."""


def read_batches(
    sources: list[Source], folders: dict[int, Folder], pieces: list[Piece], quarantine: Quarantine
) -> Iterator[Batch]:
    """Yield the documents of `pieces`, in order; a batch is of one piece.

    Args:
        sources: Sources of the spec.
        folders: Folders of the sources that the pieces come from, by index of the source.
        pieces: Pieces to read, in order.
        quarantine: Takes the unreadable records.

    Raises:
        BadData: If a file is damaged.
        UserError: If a file has changed since it was listed.
    """
    for piece in pieces:
        source, folder = sources[piece.source], folders[piece.source]
        _check_unchanged(folder, piece)
        records = FORMATS[piece.format].read(source, folder, piece, quarantine)
        for chunk in _chunks(records):
            yield _batch(source, piece, chunk)


def _check_unchanged(folder: Folder, piece: Piece) -> None:
    file = folder.stat(piece.path)
    if (file.size, file.version) != (piece.size, piece.version):
        raise UserError(
            f"{folder.uri_of(piece.path)}: has changed since the pipeline listed it; "
            "edit or recreate the DataPipeline to read the new content"
        )


def _chunks(records: Iterator[SourceRecord]) -> Iterator[list[SourceRecord]]:
    chunk: list[SourceRecord] = []
    characters = 0
    for record in records:
        chunk.append(record)
        characters += len(record.text)
        if characters >= BATCH_CHARACTERS or len(chunk) == BATCH_DOCUMENTS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _batch(source: Source, piece: Piece, records: list[SourceRecord]) -> Batch:
    start = f"{source.name}/{piece.path}"
    origins = [f"{start}#{record.position}" if record.position else start for record in records]
    stated = "" if source.language == "auto" else source.language
    return Batch(
        ids=[record.id or origin for record, origin in zip(records, origins, strict=True)],
        origins=origins,
        texts=[record.text for record in records],
        sources=[source.name] * len(records),
        domains=[record.domain or source.domain for record in records],
        languages=[record.language or stated for record in records],
        scores=np.ones(len(records), np.float32),
        prompts=np.fromiter((record.prompt for record in records), np.int32, len(records)),
    )
