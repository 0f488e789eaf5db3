"""A checksum of all that a run has read: it proves which sequences the weights are from.

Each sample gives a CRC-32 of its ids, started with its number in the run; their sum modulo 2^64
depends neither on the order nor on the ranks that read them.
"""

import zlib
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

_MODULUS = 2**64


def sample_checksum(number: int, ids: NDArray[np.int64]) -> int:
    """Return the checksum of the `number`-th sample that a run reads, with these ids."""
    return zlib.crc32(np.ascontiguousarray(ids, "<i8").tobytes(), number % 2**32)


def sum_checksums(values: Iterable[int]) -> int:
    """Return the checksum of samples, or of parts of a run, together."""
    return sum(values) % _MODULUS


class ReadChecksum:
    """The checksum of a run so far: of earlier attempts, and of what this rank has read since."""

    def __init__(self) -> None:
        self._before: int | None = 0
        self._own = 0

    def restore(self, text: str | None) -> None:
        """Go on from a checkpoint; `None` if it does not know what the run had read."""
        self._before, self._own = (None if text is None else int(text, 16)), 0

    def add(self, checksums: Iterable[int]) -> None:
        """Add samples that this rank has read for all."""
        self._own = sum_checksums([self._own, *checksums])

    def total(self, gather: Callable[[int], list[int]]) -> str | None:
        """Return the checksum over all ranks in hexadecimal digits; all of them call it."""
        parts = gather(self._own)
        return None if self._before is None else f"{sum_checksums([self._before, *parts]):016x}"
