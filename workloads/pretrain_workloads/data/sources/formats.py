"""The registry of source formats: how files of each format are cut into pieces, and read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pretrain_workloads.data.sources.compression import COMPRESSIONS
from pretrain_workloads.data.sources.csv_rows import read_csv
from pretrain_workloads.data.sources.jsonl import read_jsonl
from pretrain_workloads.data.sources.parquet import cut_row_groups, read_parquet
from pretrain_workloads.data.sources.pieces import Piece, cut_bytes, keep_whole
from pretrain_workloads.data.sources.reading import PieceReading
from pretrain_workloads.data.sources.records import SourceRecord
from pretrain_workloads.data.sources.txt import read_txt
from pretrain_workloads.data.sources.warc import read_warc
from pretrain_workloads.storage import Folder


@dataclass(frozen=True)
class SourceFormat:
    """The functions of one format."""

    read: Callable[[PieceReading], Iterator[SourceRecord]]
    """Yields the readable records of a piece, and puts the others into quarantine."""

    cut: Callable[[Folder, Piece, float], list[Piece]] = keep_whole
    """Cuts a file into pieces of about so many bytes, where the format allows."""

    aliases: tuple[str, ...] = ()
    """File name extensions beside the format's own name."""


FORMATS = {
    "jsonl": SourceFormat(read_jsonl, cut_bytes, aliases=("ndjson",)),
    "parquet": SourceFormat(read_parquet, cut_row_groups),
    "csv": SourceFormat(read_csv, aliases=("tsv",)),
    "txt": SourceFormat(read_txt),
    "warc": SourceFormat(read_warc),
}
"""All formats, by their name in the API."""

_BY_EXTENSION = {
    extension: name
    for name, description in FORMATS.items()
    for extension in (name, *description.aliases)
}


def format_of(path: str) -> str | None:
    """Return the name of a file's format from its extension, or `None` if that is unknown."""
    name = path.lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(f".{compression}")
    return _BY_EXTENSION.get(name.rsplit(".", 1)[-1])
