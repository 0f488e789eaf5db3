"""Pieces: the files, or parts of files, that the tasks of `prepare` read.

Each task gets consecutive pieces, so for any number of tasks the documents have one order: that of
sources, files and positions. What depends on the order (which duplicate stays) is then the same.
"""

from dataclasses import asdict, dataclass, replace
from itertools import pairwise

from pretrain_workloads.storage import Folder

_TEXT_PER_BYTE = {"gz": 4.0, "zst": 4.0, "bz2": 5.0, "xz": 5.0, "parquet": 3.0}
"""Approximate bytes of text in a byte of file: balances the work of the tasks."""

_MIN_PIECE_BYTES = 1 << 20
"""A plain jsonl file is not cut into smaller pieces."""


@dataclass(frozen=True)
class Piece:
    """A file, or a part of one, that one task reads. `inputs.json` holds these fields."""

    source: int
    """Index of the source in the spec."""

    path: str
    """Path relative to the folder of the source."""

    format: str
    """Name of the format (`formats.FORMATS`)."""

    compression: str
    """`gz`, `zst`, `bz2`, `xz` or nothing."""

    size: int
    """Bytes of the whole file."""

    version: str
    """Version of the file when it was listed."""

    encoding: str = "utf-8"
    """Character encoding of the content."""

    start: int = 0
    """First byte (jsonl) or row group (parquet)."""

    end: int | None = None
    """End of the byte range or of the row groups, exclusive. Unset means the end of the file."""

    first_row: int = 0
    """Rows of the file before `start` (parquet)."""

    part_bytes: int | None = None
    """Bytes of the file in this piece. Unset means all."""

    @property
    def cost(self) -> float:
        """Return the approximate bytes of text in the piece."""
        size = self.size if self.part_bytes is None else self.part_bytes
        return max(1.0, size * _TEXT_PER_BYTE.get(self.compression or self.format, 1.0))


def keep_whole(folder: Folder, piece: Piece, target: float) -> list[Piece]:
    """Return the file as one piece: its format cannot be read from the middle."""
    return [piece]


def cut_bytes(folder: Folder, piece: Piece, target: float) -> list[Piece]:
    """Cut an uncompressed file in UTF-8 into byte ranges of about `target` bytes."""
    if piece.compression or piece.encoding != "utf-8":
        return [piece]
    count = max(1, min(round(piece.size / max(target, _MIN_PIECE_BYTES)), piece.size))
    bounds = [piece.size * index // count for index in range(count + 1)]
    return [
        replace(piece, start=start, end=end, part_bytes=end - start)
        for start, end in pairwise(bounds)
    ]


def share_out(pieces: list[Piece], tasks: int) -> list[list[Piece]]:
    """Return the pieces of each task: consecutive ones of about the same cost."""
    total = sum(piece.cost for piece in pieces)
    shares: list[list[Piece]] = [[] for _ in range(tasks)]
    before = 0.0
    for piece in pieces:
        middle = before + piece.cost / 2
        shares[min(tasks - 1, int(middle / total * tasks))].append(piece)
        before += piece.cost
    return shares


def write_shares(folder: Folder, path: str, shares: list[list[Piece]]) -> None:
    """Write the pieces of all tasks."""
    folder.write_json(path, [[asdict(piece) for piece in share] for share in shares])


def read_share(folder: Folder, path: str, rank: int) -> list[Piece]:
    """Return the pieces of task `rank`."""
    return [Piece(**fields) for fields in folder.read_json(path)[rank]]
