"""Sources of a DataPipeline: where raw text comes from, and how its files are read."""

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.meta import Location, Name

Format = Literal["auto", "jsonl", "parquet", "txt"]


class Source(Location):
    """Files of one origin; `uri` may hold `*`, `?` and `**`."""

    name: Name
    """Name of the source; documents carry it."""

    format: Format = "auto"
    """How to read the files. `auto` means by their name: `.jsonl` and `.txt` (also `.gz`, `.zst`),
    `.parquet`. A `.txt` file is one document."""

    text_field: Annotated[str, Field(min_length=1, max_length=128)] = "text"
    """Column or JSON key that holds the text."""

    id_field: Annotated[str, Field(min_length=1, max_length=128)] = "id"
    """Column or JSON key that holds the document's id. Documents without one get their file and
    position."""

    language: Annotated[str, Field(pattern=r"^[a-z]{2,8}$")] = "auto"
    """Language of all documents. `auto` means it is detected for each."""

    domain: Annotated[str, Field(min_length=1, max_length=63)] = "unknown"
    """Subject area that all documents carry, for mixing and for deduplication thresholds."""
