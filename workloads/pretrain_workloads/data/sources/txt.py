"""Read text files: each file is one document."""

from collections.abc import Iterator

from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.sources.content import read_whole
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.data.sources.quarantine import Quarantine
from pretrain_workloads.data.sources.records import SourceRecord
from pretrain_workloads.storage import Folder


def read_txt(
    source: Source, folder: Folder, piece: Piece, quarantine: Quarantine
) -> Iterator[SourceRecord]:
    """Yield the file as one record, without a byte order mark."""
    content = read_whole(folder, piece)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte {error.start} is {content[error.start]:#04x}"
        quarantine.add(source, piece.path, f"byte-{error.start}", reason, content)
        return
    if text.strip():
        yield SourceRecord("", f"{source.name}/{piece.path}", text)
    else:
        quarantine.add(source, piece.path, "0", "the file is empty", b"")
