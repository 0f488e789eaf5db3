"""Decompress source files, and recognise damaged ones."""

import gzip
import zlib
from typing import IO, Any

COMPRESSIONS = ("gz", "zst")
"""Compressions, by the last extension of a file name."""


def compression_of(path: str) -> str:
    """Return the compression of a file from its name; empty if it has none."""
    extension = path.rsplit(".", 1)[-1].lower()
    return extension if extension in COMPRESSIONS else ""


def decompress(stream: IO[bytes], compression: str) -> Any:
    """Return `stream` decompressed, as a binary stream for reading."""
    if compression == "gz":
        return gzip.open(stream, "rb")
    if compression == "zst":
        from pretrain_workloads.data.sources.zstd import open_zstd

        return open_zstd(stream)
    return stream


def is_damage(error: Exception) -> bool:
    """Return whether `error`, raised while reading, means that the compressed file is damaged."""
    if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error):
        return True
    return type(error).__name__ == "ZstdError"  # not imported: zstandard may not be loaded
