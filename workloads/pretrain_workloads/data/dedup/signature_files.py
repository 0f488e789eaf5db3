"""The files that `prepare` writes for `match`: signatures, and the columns that find candidates.

Both are written while documents pass, so that memory does not grow with their number. Signatures
lie row by row, because pairs of documents are compared; the other columns (text hashes, scores, and
the keys of each band) lie one after the other, because a task of `match` reads those of its bands.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.dedup.bands import Banding, band_keys
from pretrain_workloads.data.dedup.minhash import PERMUTATIONS, Signatures
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.storage import Folder

HASHES, SCORES, FIRST_BAND = range(3)
"""Columns: the hash of the text, the score (a `float64`), then the keys of each band."""

_COPIED_ROWS = 1 << 16
"""Rows that are turned into columns at once."""

type Column64 = npt.NDArray[np.uint64]


class SignatureWriter:
    """Writes the signatures and the columns of one task, batch by batch."""

    def __init__(self, signatures: IO[bytes], rows: IO[bytes], banding: Banding) -> None:
        self._signatures, self._rows, self._banding = signatures, rows, banding

    def add(
        self, signatures: Signatures, hashes: Column64, scores: npt.NDArray[np.float64]
    ) -> None:
        """Add documents; the higher of two scores stays."""
        keys = band_keys(signatures, self._banding.bands, self._banding.rows)
        columns = (hashes[:, None], scores.view(np.uint64)[:, None], keys)
        self._signatures.write(signatures.tobytes())
        self._rows.write(np.concatenate(columns, axis=1).tobytes())


@contextmanager
def signature_writer(
    folder: Folder, names: PipelineFiles, rank: int, banding: Banding
) -> Iterator[SignatureWriter]:
    """Provide a writer, and publish the files of a task when the body succeeds."""
    with (
        folder.publish(names.signatures(rank)) as signatures,
        folder.publish(names.bands(rank)) as columns,
    ):
        rows = columns.local.with_name(columns.local.name + ".rows")
        try:
            with signatures.local.open("wb") as stream, rows.open("wb") as row_stream:
                yield SignatureWriter(stream, row_stream, banding)
            _write_columns(rows, columns.local, FIRST_BAND + banding.bands)
        finally:
            rows.unlink(missing_ok=True)


def _write_columns(rows: Path, target: Path, width: int) -> None:
    """Write the table in `rows` column by column; it need not fit into memory."""
    count = rows.stat().st_size // (8 * width)
    with rows.open("rb") as source, target.open("wb") as columns:
        for start in range(0, count, _COPIED_ROWS):
            content = source.read(8 * width * _COPIED_ROWS)
            block = np.frombuffer(content, np.uint64).reshape(-1, width)
            for column in range(width):
                columns.seek(8 * (column * count + start))
                columns.write(block[:, column].tobytes())


class SignatureFiles:
    """The files of all tasks, as if they were those of one; documents are numbered over all.

    Args:
        folder: Folder of the artifact.
        names: Names of its files.
        counts: Documents of each task.
        stack: Closes the fetched files.
    """

    def __init__(
        self, folder: Folder, names: PipelineFiles, counts: list[int], stack: ExitStack
    ) -> None:
        self._folder, self._names, self._counts, self._stack = folder, names, counts, stack
        self._starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        self._mapped: dict[int, Any] = {}

    def column(self, index: int) -> Column64:
        """Return a column of all documents; only its part of the files is read."""
        out = np.empty(int(self._starts[-1]), np.uint64)
        for rank, (start, count) in enumerate(
            zip(self._starts.tolist(), self._counts, strict=False)
        ):
            if count:
                with self._folder.open(self._names.bands(rank)) as stream:
                    stream.seek(8 * index * count)
                    out[start : start + count] = np.frombuffer(stream.read(8 * count), np.uint64)
        return out

    def rows(self, numbers: npt.NDArray[np.int64]) -> Signatures:
        """Return the signatures of some documents, whose numbers are ascending."""
        out = np.empty((len(numbers), PERMUTATIONS), np.uint16)
        bounds = np.searchsorted(numbers, self._starts).tolist()
        for rank, (first, last) in enumerate(pairwise(bounds)):
            if first < last:
                out[first:last] = self._map(rank)[numbers[first:last] - self._starts[rank]]
        return out

    def _map(self, rank: int) -> Any:
        if rank not in self._mapped:
            path = self._stack.enter_context(self._folder.fetched(self._names.signatures(rank)))
            shape = (self._counts[rank], PERMUTATIONS)
            self._mapped[rank] = np.memmap(path, np.uint16, "r", shape=shape)
        return self._mapped[rank]
