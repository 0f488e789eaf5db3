"""Cut the inputs into pieces, and give each task pieces that follow each other.

The order of documents is that of sources, files and places in a file, whatever the number of
tasks: everything that depends on an order (which copy stays) is the same for any cut.
"""

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

_COST = {"gz": 4.0, "zst": 4.0, "parquet": 3.0}
"""Bytes of text in a byte of file, about: what evens out the work of tasks."""

_SMALLEST = 1 << 20
"""A plain jsonl file is not cut into smaller pieces than this, in bytes."""

FORMATS = ("jsonl", "parquet", "txt")


@dataclass(frozen=True)
class Piece:
    """A file, or a part of one, that one task reads."""

    source: int
    """Position of the source in the spec."""

    path: str
    """Path below the folder of the source."""

    format: str
    """`jsonl`, `parquet` or `txt`."""

    compression: str
    """`gz`, `zst` or nothing."""

    size: int
    """Bytes of the whole file."""

    version: str
    """Version of the file when it was listed."""

    start: int = 0
    """First byte (jsonl) or row group (parquet)."""

    end: int | None = None
    """Byte or row group behind the last. Unset means the end of the file."""

    first_row: int = 0
    """Rows of the file before `start` (parquet)."""

    part_bytes: int | None = None
    """Bytes of the file that it reads. Unset means all."""

    @property
    def cost(self) -> float:
        """Return about how many bytes of text it holds."""
        share = self.size if self.part_bytes is None else self.part_bytes
        return max(1.0, share * _COST.get(self.compression or self.format, 1.0))

    def dump(self) -> dict[str, Any]:
        """Return the piece as JSON."""
        return asdict(self)


def compression_of(path: str) -> str:
    """Return `gz`, `zst` or nothing, from the name of a file."""
    end = path.rsplit(".", 1)[-1].lower()
    return end if end in ("gz", "zst") else ""


def format_of(path: str) -> str | None:
    """Return the format of a file from its name, or `None` if the name does not say."""
    name = path.lower().removesuffix(".gz").removesuffix(".zst")
    end = name.rsplit(".", 1)[-1]
    return {"ndjson": "jsonl"}.get(end, end if end in FORMATS else None)


def cut_file(piece: Piece, target: float) -> list[Piece]:
    """Cut a plain jsonl file into byte ranges of about `target` bytes; leave others whole."""
    if piece.format != "jsonl" or piece.compression:
        return [piece]
    count = max(1, min(round(piece.size / max(target, _SMALLEST)), piece.size))
    bounds = [piece.size * index // count for index in range(count + 1)]
    return [
        replace(piece, start=start, end=end, part_bytes=end - start)
        for start, end in pairwise(bounds)
    ]


def share_out(pieces: list[Piece], tasks: int) -> list[list[Piece]]:
    """Give each of `tasks` tasks consecutive pieces of about the same cost."""
    total = sum(piece.cost for piece in pieces)
    shares: list[list[Piece]] = [[] for _ in range(tasks)]
    before = 0.0
    for piece in pieces:
        middle = before + piece.cost / 2
        shares[min(tasks - 1, int(middle / total * tasks))].append(piece)
        before += piece.cost
    return shares
