"""Sources of a DataPipeline: where raw text comes from, and how its files are read."""

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.meta import Location, Name

Format = Literal["auto", "jsonl", "parquet", "csv", "txt", "warc"]

Encoding = Literal[
    "utf-8",
    "utf-16",
    "gb18030",
    "big5",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "cp1251",
    "cp1252",
    "latin-1",
]

FieldName = Annotated[str, Field(min_length=1, max_length=128)]


class Source(Location):
    """Files of one origin; `uri` may hold `*`, `?` and `**`.

    Files and folders whose names start with `.` or `_` are skipped, unless `uri` names them so.
    """

    name: Name
    """Name of the source; documents carry it."""

    format: Format = "auto"
    """How to read the files. `auto` means by their name: `.jsonl`, `.ndjson`, `.csv`, `.tsv`,
    `.txt`, `.warc` (also compressed: `.gz`, `.zst`, `.bz2`, `.xz`) and `.parquet`. A `.txt` file is
    one document; of a WARC file, the text of each HTML page with status 200 is one."""

    encoding: Encoding = "utf-8"
    """Character encoding of jsonl, csv and txt files."""

    text_field: FieldName | None = None
    """Column or JSON key that holds the text. Unset means `text` or `content`, whichever a record
    has first, or `prompt` and `completion` together."""

    prompt_field: FieldName | None = None
    """Column or JSON key of a prompt that precedes the text. Documents record how many of their
    characters it is (column `prompt`); the trainer does not leave it out of the loss yet. Unset
    means that there is none, except for records with `prompt` and `completion`."""

    id_field: FieldName = "id"
    """Column or JSON key that holds the document's id. Documents without one get their file and
    position."""

    language_field: FieldName | None = None
    """Column or JSON key that holds the document's language (`zh`, `en`, `code`, …). Unset, or a
    record without one, means `language` below."""

    domain_field: FieldName | None = None
    """Column or JSON key that holds the document's domain. Unset, or a record without one, means
    `domain` below."""

    language: Annotated[str, Field(pattern=r"^[a-z]{2,8}$")] = "auto"
    """Language of all documents. `auto` means it is detected for each."""

    domain: Annotated[str, Field(min_length=1, max_length=63)] = "unknown"
    """Subject area that all documents carry, for mixing and for deduplication thresholds."""
