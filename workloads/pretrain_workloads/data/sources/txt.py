"""Read text files: each file is one document."""

from collections.abc import Iterator

from pretrain_workloads.data.sources.content import read_whole
from pretrain_workloads.data.sources.encodings import encoding_problem
from pretrain_workloads.data.sources.reading import PieceReading
from pretrain_workloads.data.sources.records import SourceRecord


def read_txt(reading: PieceReading) -> Iterator[SourceRecord]:
    """Yield the file as one record, without a byte order mark."""
    limit = reading.max_record_bytes
    content, too_long = read_whole(reading.folder, reading.piece, limit)
    if too_long:
        reason = f"record is too long: more than {limit:,} bytes; see spec.maxRecordBytes"
        reading.reject("0", reason, content)
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reading.reject(f"byte-{error.start}", encoding_problem(content, error), content)
        return
    if text.strip():
        yield SourceRecord("", f"{reading.source.name}/{reading.piece.path}", text)
    else:
        reading.reject("0", "the file is empty", b"")
