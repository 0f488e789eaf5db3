"""Read zstd files as gzip's module reads gzip: many frames, and an error where one ends early.

The `zstandard` package's own reader takes a file that was cut short for a shorter file.
"""

import io
from typing import IO, Any

import zstandard

_CHUNK = 1 << 17


class _Frames(io.RawIOBase):
    """The decompressed bytes of a stream of zstd frames."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: Any = None
        self._ready = b""

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, and return how many bytes that took.

        Raises:
            EOFError: If the last frame ends early.
        """
        while not self._ready:
            chunk = self._stream.read(_CHUNK)
            if not chunk:
                if self._frame is not None:
                    raise EOFError("the file ends in the middle of a zstd frame")
                return 0
            self._ready = self._decompress(chunk)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _decompress(self, chunk: bytes) -> bytes:
        out = []
        while chunk:
            if self._frame is None:
                self._frame = self._decompressor.decompressobj()
            out.append(self._frame.decompress(chunk))
            chunk = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        return b"".join(out)


def open_zstd(stream: IO[bytes]) -> io.BufferedReader:
    """Return the decompressed content of `stream`, for reading."""
    return io.BufferedReader(_Frames(stream), 1 << 20)
