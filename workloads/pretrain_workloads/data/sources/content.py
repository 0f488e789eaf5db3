"""Read the content of a piece: line by line, or as a whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from pretrain_workloads.data.sources.compression import decompress, is_damage
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.failures import BadData
from pretrain_workloads.storage import Folder


def read_lines(folder: Folder, piece: Piece) -> Iterator[tuple[str, bytes]]:
    """Yield (position, line) for each line that starts in a piece.

    Raises:
        BadData: If the file is damaged.
    """
    with _opened(folder, piece) as stream:
        if piece.compression:
            yield from ((f"line-{number}", line) for number, line in enumerate(stream, 1))
        else:
            yield from _lines_of_range(stream, piece.start, piece.end or piece.size)


def read_whole(folder: Folder, piece: Piece) -> bytes:
    """Return the content of a file.

    Raises:
        BadData: If the file is damaged.
    """
    with _opened(folder, piece) as stream:
        content: bytes = stream.read()
        return content


def damaged(folder: Folder, piece: Piece, stream: IO[bytes], error: Exception) -> BadData:
    """Return the error for a file that cannot be decoded past the position of `stream`."""
    return BadData(
        f"{folder.uri_of(piece.path)}: is damaged near byte {stream.tell()} of {piece.size} "
        f"({error}); upload it again, or leave it out of the source"
    )


@contextmanager
def _opened(folder: Folder, piece: Piece) -> Iterator[Any]:
    with folder.open(piece.path) as stream:
        try:
            yield decompress(stream, piece.compression)
        except Exception as error:
            if not is_damage(error):
                raise
            raise damaged(folder, piece, stream, error) from error


def _lines_of_range(stream: IO[bytes], start: int, end: int) -> Iterator[tuple[str, bytes]]:
    """Yield the lines whose first byte lies in [start, end), with the offset of that byte."""
    offset = start
    if start:
        stream.seek(start - 1)
        offset += len(stream.readline()) - 1
    while offset < end and (line := stream.readline()):
        yield f"byte-{offset}", line
        offset += len(line)
