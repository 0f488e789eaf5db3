"""Decompress source files, and recognise damaged ones."""

import bz2
import gzip
import lzma
import zlib
from typing import IO, Any

COMPRESSIONS = ("gz", "zst", "bz2", "xz")
"""Compressions, by the last extension of a file name."""

_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)


def compression_of(path: str) -> str:
    """Return the compression of a file from its name; empty if it has none."""
    extension = path.rsplit(".", 1)[-1].lower()
    return extension if extension in COMPRESSIONS else ""


def decompress(stream: IO[bytes], compression: str) -> Any:
    """Return `stream` decompressed, as a binary stream for reading."""
    match compression:
        case "gz":
            return gzip.open(stream, "rb")
        case "bz2":
            return bz2.open(stream, "rb")
        case "xz":
            return lzma.open(stream, "rb")
        case "zst":
            from pretrain_workloads.data.sources.zstd import open_zstd

            return open_zstd(stream)
    return stream


def is_damage(error: Exception) -> bool:
    """Return whether `error`, raised while reading, means that the compressed file is damaged."""
    if isinstance(error, _DAMAGE):
        return True
    # bz2 raises an OSError without a number; zstandard may not be loaded.
    is_bz2 = isinstance(error, OSError) and error.errno is None and "Invalid data" in str(error)
    return is_bz2 or type(error).__name__ == "ZstdError"
