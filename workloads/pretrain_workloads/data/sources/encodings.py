"""Character encodings: read other ones as UTF-8, and guess which one fits."""

import codecs
import io
import re
from typing import IO, Any

_CHUNK_BYTES = 1 << 18
"""Bytes that are decoded at once."""

_GUESSES = ("gb18030", "big5", "shift_jis", "euc-kr")
_COMMON = re.compile(
    "[\u3040-\u30ff\uac00-\ud7a3，。、：；！？「」（）《》“”的一是不了人我在有他这這中大来來上个個国國和也子时時道到"
    "說说们們为為生以要就出会會可下学學年得对對那里后後小么自之天明月日地心文]"
)
"""The most frequent characters: a text read in a wrong encoding has hardly any of them."""

_PLAUSIBLE = 0.15
"""Share of them from which an encoding fits."""


class _AsUtf8(io.RawIOBase):
    """The content of a stream in another encoding, as UTF-8."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        """Return true: the stream is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, and return how many bytes are in it; 0 at the end of the file.

        Raises:
            UnicodeDecodeError: If the content is not in the encoding.
        """
        while not self._ready and not self._ended:
            block = self._stream.read(_CHUNK_BYTES)
            self._ended = not block
            text = self._decoder.decode(block, final=self._ended)
            self._ready = text.encode("utf-8", "replace")
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def as_utf8(stream: IO[bytes], encoding: str) -> Any:
    """Return a binary stream of the content of `stream` in UTF-8."""
    if encoding == "utf-8":
        return stream
    return io.BufferedReader(_AsUtf8(stream, encoding), 1 << 20)


def encoding_problem(content: bytes, error: UnicodeDecodeError) -> str:
    """Return why `content` is not UTF-8, with the encoding that fits if there is one."""
    problem = f"not UTF-8: byte {error.start} is {content[error.start]:#04x}"
    guess = guessed_encoding(content)
    return f"{problem}; set encoding of the source to {guess}" if guess else problem


def guessed_encoding(content: bytes) -> str | None:
    """Return the encoding that `content` is in, as far as its start tells, or `None`."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = content[:10_000]
    scores = {encoding: _plausibility(sample, encoding) for encoding in _GUESSES}
    best = max(scores, key=lambda encoding: scores[encoding])
    return best if scores[best] >= _PLAUSIBLE else None


def _plausibility(sample: bytes, encoding: str) -> float:
    """Return the share of common characters among those that are not ASCII."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return 0.0
    others = [character for character in text if character > "\x7f"]
    return sum(map(bool, map(_COMMON.match, others))) / max(1, len(others))
