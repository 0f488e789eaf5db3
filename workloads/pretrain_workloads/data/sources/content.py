"""Read the content of a piece: line by line, or as a whole, never more than one record at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

from pretrain_workloads.data.sources.compression import decompress, is_damage
from pretrain_workloads.data.sources.encodings import as_utf8
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.storage import Folder

_SKIPPED_BYTES = 1 << 20
"""Bytes of a line that is too long which are skipped at once."""


class Damage(Exception):
    """The rest of a file cannot be decoded; what was read before stays."""


class Line(NamedTuple):
    """A line of a file."""

    position: str
    content: bytes
    too_long: bool = False
    """Whether only its start is in `content`."""


def read_lines(folder: Folder, piece: Piece, limit: int) -> Iterator[Line]:
    """Yield each line that starts in a piece; of one of more than `limit` bytes only the start.

    Raises:
        Damage: If the rest of the file cannot be decoded.
    """
    with opened(folder, piece) as stream:
        if piece.compression or piece.encoding != "utf-8":
            number = 0
            for number, line in enumerate(_bounded_lines(stream, limit), 1):
                yield Line(f"line-{number}", *line)
            return
        offset, end = piece.start, piece.end or piece.size
        if offset:
            stream.seek(offset - 1)
            offset += _skip_line(stream) - 1
        for content, too_long, size in _sized_lines(stream, limit):
            if offset >= end:
                return
            yield Line(f"byte-{offset}", content, too_long)
            offset += size


def read_whole(folder: Folder, piece: Piece, limit: int) -> tuple[bytes, bool]:
    """Return the content of a file, and whether it is longer than `limit` bytes and cut.

    Raises:
        Damage: If the file cannot be decoded.
    """
    with opened(folder, piece) as stream:
        content: bytes = stream.read(limit + 1)
        return content[:limit], len(content) > limit


@contextmanager
def opened(folder: Folder, piece: Piece) -> Iterator[Any]:
    """Provide the content of a file as UTF-8, decompressed.

    Raises:
        Damage: If the rest of the file cannot be decoded.
    """
    with folder.open(piece.path) as stream:
        try:
            yield as_utf8(decompress(stream, piece.compression), piece.encoding)
        except UnicodeDecodeError as error:
            raise Damage(f"is not {piece.encoding}: {error.reason}") from error
        except Exception as error:
            if not is_damage(error):
                raise
            near = f"near byte {stream.tell()} of {piece.size}"
            raise Damage(f"is damaged {near} ({error})") from error


def _bounded_lines(stream: IO[bytes], limit: int) -> Iterator[tuple[bytes, bool]]:
    return ((content, too_long) for content, too_long, _ in _sized_lines(stream, limit))


def _sized_lines(stream: IO[bytes], limit: int) -> Iterator[tuple[bytes, bool, int]]:
    """Yield (content, whether it is cut, bytes of the whole line) of each line."""
    while line := stream.readline(limit + 1):
        size = len(line)
        too_long = size > limit and not line.endswith(b"\n")
        if too_long:
            size += _skip_line(stream)
        yield line[:limit], too_long, size


def _skip_line(stream: IO[bytes]) -> int:
    """Skip the rest of a line, and return its bytes."""
    skipped = 0
    while part := stream.readline(_SKIPPED_BYTES):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped
