"""Read zstd files as the `gzip` module reads gzip: several frames, an error if one is cut off.

The reader of the `zstandard` package accepts a truncated file without an error.
"""

import io
from typing import IO, Any

import zstandard

_BLOCK_BYTES = 1 << 17
"""Compressed bytes that are read at once."""

_STEP_BYTES = 1 << 11
"""Compressed bytes that are decompressed at once. They become 30 MB at most, and a damaged place
loses no more before it."""

_MAX_WINDOW = 1 << 31
"""Largest window, in bytes: what `zstd --long=31` writes."""


class _Frames(io.RawIOBase):
    """The decompressed bytes of a stream of zstd frames."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        self._frame: Any = None
        self._start = b""
        self._block = memoryview(b"")
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Return true: the stream is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` with decompressed bytes, and return how many; 0 at the end of the file.

        Raises:
            EOFError: If the last frame is cut off.
        """
        while not self._ready:
            if not self._block:
                self._block = memoryview(self._stream.read(_BLOCK_BYTES))
            if not self._block:
                if self._frame is not None:
                    raise EOFError("the file ends in the middle of a zstd frame")
                return 0
            step, self._block = self._block[:_STEP_BYTES], self._block[_STEP_BYTES:]
            self._ready = memoryview(self._decompress(bytes(step)))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _decompress(self, block: bytes) -> bytes:
        out = []
        while block:
            if self._frame is None:
                self._frame = self._decompressor.decompressobj()
                self._start = block
            out.append(self._decompressed(block))
            block = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        return b"".join(out)

    def _decompressed(self, block: bytes) -> bytes:
        try:
            return bytes(self._frame.decompress(block))
        except zstandard.ZstdError as error:
            if "memory" not in str(error):
                raise
            size = zstandard.get_frame_parameters(self._start).window_size
            raise zstandard.ZstdError(
                f"needs a window of {size >> 20} MiB, more than {_MAX_WINDOW >> 20} MiB"
            ) from error


def open_zstd(stream: IO[bytes]) -> io.BufferedReader:
    """Return `stream` decompressed, for reading."""
    return io.BufferedReader(_Frames(stream), 1 << 20)
