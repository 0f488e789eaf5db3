"""Read the pieces of a task: a record becomes a document, or lies in quarantine with a reason."""

import gzip
import zlib
from collections.abc import Iterator
from typing import IO, Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from pretrain_api.v1alpha1.datapipeline import Source
from pretrain_workloads.data.executor import Documents
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.storage import Folder

_SHOWN = 2000
"""Bytes of a bad record that quarantine keeps."""


class Quarantine:
    """Records that are no documents: what they hold, where they are, what is wrong."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def add(self, source: Source, path: str, position: str, reason: str, record: bytes) -> None:
        """Keep a bad record."""
        shown = record[:_SHOWN].decode("utf-8", "replace")
        where = {"source": source.name, "path": path, "position": position}
        self.records.append(where | {"reason": reason, "record": shown})


class ReadPieces(PipelineStep):  # type: ignore[misc]
    """Reads jsonl, parquet and txt.

    datatrove's readers skip records that they cannot read without a count, and cannot read a part
    of a file; so this one is ours.
    """

    name = "pieces"
    type = "reader"

    def __init__(
        self,
        sources: list[Source],
        folders: dict[int, Folder],
        pieces: list[Piece],
        bad: Quarantine,
    ) -> None:
        super().__init__()
        self._sources, self._folders, self._pieces, self._bad = sources, folders, pieces, bad

    def run(self, data: Documents | None, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield the documents of the pieces, in order.

        Raises:
            BadData: If a file is damaged.
            UserError: If a file has changed since it was listed.
        """
        for piece in self._pieces:
            source, folder = self._sources[piece.source], self._folders[piece.source]
            _check_unchanged(folder, piece)
            given = None if source.language == "auto" else source.language
            for position, name, text in _records(source, folder, piece, self._bad):
                yield Document(
                    text=text,
                    id=name or f"{source.name}/{piece.path}#{position}",
                    metadata={
                        "source": source.name,
                        "domain": source.domain,
                        "language": given,
                        "score": 1.0,
                        "path": piece.path,
                    },
                )


def _check_unchanged(folder: Folder, piece: Piece) -> None:
    now = folder.stat(piece.path)
    if (now.size, now.version) != (piece.size, piece.version):
        raise UserError(
            f"{folder.uri_of(piece.path)}: has changed since the pipeline listed it; "
            "edit or recreate the DataPipeline to read the new content"
        )


type Record = tuple[str, str, str]
"""Position, id (empty if it has none) and text."""


def _records(source: Source, folder: Folder, piece: Piece, bad: Quarantine) -> Iterator[Record]:
    match piece.format:
        case "jsonl":
            return _jsonl(source, folder, piece, bad)
        case "parquet":
            return _parquet(source, folder, piece, bad)
    return _txt(source, folder, piece, bad)


def _open(stream: IO[bytes], piece: Piece) -> Any:
    if piece.compression == "gz":
        return gzip.open(stream, "rb")
    if piece.compression == "zst":
        from pretrain_workloads.data.sources.zstd import open_zstd

        return open_zstd(stream)
    return stream


def _bytes_of(folder: Folder, piece: Piece, lines: bool) -> Iterator[tuple[str, bytes]]:
    """Yield (position, line), or one (position, content) for the whole file.

    Raises:
        BadData: If the file is damaged.
    """
    with folder.open(piece.path) as stream:
        try:
            opened = _open(stream, piece)
            if not lines:
                yield "0", opened.read()
            elif piece.compression:
                yield from ((f"line-{number}", line) for number, line in enumerate(opened, 1))
            else:
                yield from _lines_of_range(opened, piece.start, piece.end or piece.size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _damaged(folder, piece, stream, error) from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":
                raise
            raise _damaged(folder, piece, stream, error) from error


def _damaged(folder: Folder, piece: Piece, stream: IO[bytes], error: Exception) -> BadData:
    return BadData(
        f"{folder.uri_of(piece.path)}: is damaged near byte {stream.tell()} of {piece.size} "
        f"({error}); upload it again, or leave it out of the source"
    )


def _lines_of_range(stream: IO[bytes], start: int, end: int) -> Iterator[tuple[str, bytes]]:
    """Yield the lines whose first byte lies in [start, end), with the offset of that byte."""
    offset = start
    if start:
        stream.seek(start - 1)
        offset += len(stream.readline()) - 1
    while offset < end and (line := stream.readline()):
        yield f"byte-{offset}", line
        offset += len(line)


def _jsonl(source: Source, folder: Folder, piece: Piece, bad: Quarantine) -> Iterator[Record]:
    import orjson

    for position, line in _bytes_of(folder, piece, lines=True):
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            bad.add(source, piece.path, position, f"invalid JSON: {error}", line)
            continue
        if not isinstance(record, dict):
            reason = f"not a JSON object, but {type(record).__name__}"
            bad.add(source, piece.path, position, reason, line)
            continue
        text: Any = record.get(source.text_field)
        if reason := _wrong(text, source.text_field, record):
            bad.add(source, piece.path, position, reason, line)
            continue
        name = record.get(source.id_field)
        yield position, "" if name is None else str(name), text


def _wrong(text: Any, field: str, record: dict[str, Any]) -> str:
    """Return what is wrong with the text of a record, or nothing."""
    if isinstance(text, str):
        return "" if text.strip() else f"{field} is empty"
    if field not in record:
        return f"no field {field}; there are {', '.join(sorted(record)[:8]) or 'none'}"
    return f"{field} is {'null' if text is None else type(text).__name__}, not text"


def _parquet(source: Source, folder: Folder, piece: Piece, bad: Quarantine) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with folder.open(piece.path) as stream:
        try:
            file = pq.ParquetFile(stream)
            names = file.schema_arrow.names
            if source.text_field not in names:
                raise UserError(
                    f"{folder.uri_of(piece.path)}: has no column {source.text_field!r}; set "
                    f"textField of source {source.name} to one of {', '.join(names)}"
                )
            columns = [n for n in dict.fromkeys((source.text_field, source.id_field)) if n in names]
            groups = range(piece.start, piece.end if piece.end else file.num_row_groups)
            row = piece.first_row
            for batch in file.iter_batches(1024, row_groups=list(groups), columns=columns):
                yield from _rows(source, piece, batch.to_pydict(), row, bad)
                row += batch.num_rows
        except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the network or the disk, not the file
            raise _damaged(folder, piece, stream, error) from error


def _rows(
    source: Source, piece: Piece, batch: dict[str, list[Any]], first: int, bad: Quarantine
) -> Iterator[Record]:
    texts = batch[source.text_field]
    names = batch.get(source.id_field) or [None] * len(texts)
    for row, (text, name) in enumerate(zip(texts, names, strict=True), first):
        if reason := _wrong(text, source.text_field, batch):
            bad.add(source, piece.path, f"row-{row}", reason, repr(text)[:_SHOWN].encode())
        else:
            yield f"row-{row}", "" if name is None else str(name), text


def _txt(source: Source, folder: Folder, piece: Piece, bad: Quarantine) -> Iterator[Record]:
    for position, content in _bytes_of(folder, piece, lines=False):
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            reason = f"not UTF-8: byte {error.start} is {content[error.start]:#04x}"
            bad.add(source, piece.path, f"byte-{error.start}", reason, content)
            continue
        if text.strip():
            yield "", f"{source.name}/{piece.path}", text
        else:
            bad.add(source, piece.path, position, "the file is empty", b"")
