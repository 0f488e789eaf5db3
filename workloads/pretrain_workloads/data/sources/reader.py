"""Read the pieces of a task as batches of documents, and small sources as a whole."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.data.sources.compression import compression_of
from pretrain_workloads.data.sources.content import Damage
from pretrain_workloads.data.sources.formats import FORMATS, format_of
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.data.sources.quarantine import Quarantine
from pretrain_workloads.data.sources.reading import PieceReading
from pretrain_workloads.data.sources.records import SourceRecord
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.storage import Folder, StoredFile, list_matching

BATCH_DOCUMENTS = 2048
"""Most documents of a batch."""

BATCH_CHARACTERS = 1 << 20
"""A batch ends with the document that reaches so many characters: it bounds what steps hold."""


@dataclass(frozen=True)
class SourceReader:
    """Reads the pieces of a task."""

    spec: DataPipelineSpec
    folders: dict[int, Folder]
    """Folders of the sources that the pieces come from, by index of the source."""

    quarantine: Quarantine
    """Takes the unreadable records."""

    def read_batches(self, pieces: list[Piece]) -> Iterator[Batch]:
        """Yield the documents of `pieces`, in order; a batch is of one piece.

        Of a damaged file the readable records stay.

        Raises:
            BadData: If too many records are bad.
            UserError: If a file has changed since it was listed.
        """
        good = 0
        for piece in pieces:
            reading = PieceReading(
                self.spec.sources[piece.source],
                self.folders[piece.source],
                piece,
                self.quarantine,
                int(self.spec.max_record_bytes),
            )
            _check_unchanged(reading.folder, piece)
            for chunk in _chunks(_records(reading)):
                good += len(chunk)
                yield _batch(reading.source, piece, chunk)
                self.quarantine.check(good)
            self.quarantine.check(good)


def read_source(
    field: str, source: Source, max_record_bytes: int
) -> Iterator[tuple[str, SourceRecord]]:
    """Yield (origin, record) of all readable records of a source that is not shared out.

    Args:
        field: Field of the spec that holds the source, for messages.
        source: The source.
        max_record_bytes: Larger records are not readable.

    Raises:
        UserError: If it has no files, the format of one is unknown, or no record is readable.
        BadData: If a file is damaged.
    """
    folder, files = list_matching(source)
    with open(os.devnull, "wb") as nowhere:
        quarantine, readable = Quarantine(nowhere), 0
        for file in files:
            for record in _records_of(source, folder, file, quarantine, max_record_bytes):
                readable += 1
                yield f"{source.name}/{file.path}#{record.position}", record
    if not readable and quarantine.first:
        bad, count = quarantine.first[0], sum(quarantine.counts().values())
        raise UserError(
            f"{field}: source {source.name}: none of {count:,} records is readable; the first: "
            f"{bad['path']}, {bad['position']}: {bad['reason']}"
        )


def _records_of(
    source: Source, folder: Folder, file: StoredFile, quarantine: Quarantine, limit: int
) -> Iterator[SourceRecord]:
    """Yield the readable records of a whole file."""
    name = format_of(file.path) if source.format == "auto" else source.format
    if name is None:
        raise UserError(
            f"{folder.uri_of(file.path)}: the name does not tell the format; set format of "
            f"source {source.name}"
        )
    known = (file.path, name, compression_of(file.path), file.size, file.version)
    reading = PieceReading(source, folder, Piece(0, *known, source.encoding), quarantine, limit)
    try:
        yield from FORMATS[name].read(reading)
    except Damage as error:
        raise BadData(f"{reading.uri}: {error}; upload it again") from error


def _records(reading: PieceReading) -> Iterator[SourceRecord]:
    """Yield the readable records of a piece."""
    try:
        yield from FORMATS[reading.piece.format].read(reading)
    except Damage as error:
        path = reading.piece.path
        reading.quarantine.add_damage(reading.source, path, reading.uri, str(error))


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
