"""`match`: one task looks at its bands, and writes the verified near-duplicate pairs it finds."""

import io
import logging
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_api.v1alpha1.datapipeline import NearDeduplication
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.data.listing import output_folder
from pretrain_workloads.storage import Folder

log = logging.getLogger(__name__)

EDGE = np.dtype([("left", np.int64), ("right", np.int64), ("similarity", np.float32)])
"""A pair of documents, by their numbers over all tasks (left < right), and its similarity."""

_NEIGHBOURS = 8
"""In a group of documents with one key, each is compared with the first and with so many that
follow it: groups of thousands (licence headers) would give millions of pairs that say the same."""

_CHUNK = 1 << 15
"""Pairs whose signatures are compared at once."""

type Numbers = npt.NDArray[np.int64]


class SignatureFiles:
    """The signatures of all tasks as one array that need not fit into memory."""

    def __init__(self, arrays: list[npt.NDArray[np.uint32]]) -> None:
        self._arrays = arrays
        self._starts = [0, *accumulate(len(array) for array in arrays)]
        self.size = self._starts[-1]

    def columns(self, start: int, end: int) -> npt.NDArray[np.uint32]:
        """Return some columns of all rows."""
        return np.concatenate([array[:, start:end] for array in self._arrays])

    def rows(self, numbers: Numbers) -> npt.NDArray[np.uint32]:
        """Return some rows."""
        out = np.empty((len(numbers), self._arrays[0].shape[1]), np.uint32)
        files = np.searchsorted(self._starts, numbers, side="right") - 1
        for file in np.unique(files):
            here = files == file
            out[here] = self._arrays[file][numbers[here] - self._starts[file]]
        return out

    def file_of(self, number: int) -> tuple[int, int]:
        """Return the task and the row in its file of a document."""
        task = bisect_right(self._starts, number) - 1
        return task, number - self._starts[task]


def match(run: PipelineRun, rank: int) -> ExitReport:
    """Find the near-duplicate pairs of the bands of task `rank`."""
    folder, work = output_folder(run), PipelineFiles(run.tasks)
    near = run.spec.deduplication.near
    if near is None or folder.exists(work.edges(rank)):
        return ExitReport(exit_class=ExitClass.COMPLETE)
    with ExitStack() as stack:
        paths = [
            stack.enter_context(folder.fetched(work.signatures(task))) for task in range(run.tasks)
        ]
        edges, candidates = find_edges(_mapped(paths), near, rank, run.tasks)
    write_array(folder, work.edges(rank), edges)
    log.info("%s pairs of %s candidates are similar", len(edges), candidates)
    counts = {"candidates": candidates, "pairs": len(edges)}
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)


def _mapped(paths: list[Path]) -> SignatureFiles:
    arrays = [np.load(path, mmap_mode="r") for path in paths]
    return SignatureFiles(arrays)


def find_edges(
    signatures: SignatureFiles, near: NearDeduplication, rank: int, tasks: int
) -> tuple[npt.NDArray[Any], int]:
    """Return the pairs above the lowest threshold in the bands of a task, and the candidates."""
    from pretrain_workloads.data.dedup.minhash import band_keys, choose_bands

    lowest = min([near.similarity, *near.per_domain.values()])
    bands, rows = choose_bands(lowest)
    found = [np.empty((0, 2), np.int64)]
    for band in range(rank, bands, tasks):
        columns = signatures.columns(band * rows, (band + 1) * rows)
        found.append(candidate_pairs(band_keys(columns), ~is_empty(columns)))
    pairs = np.unique(np.concatenate(found), axis=0)
    edges = np.concatenate([np.empty(0, EDGE), *_verified(signatures, pairs, lowest)])
    return edges, len(pairs)


def is_empty(columns: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Return which rows belong to documents without a unit."""
    from pretrain_workloads.data.dedup.minhash import EMPTY

    empty: npt.NDArray[np.bool_] = (columns == EMPTY).all(axis=1)
    return empty


def candidate_pairs(keys: npt.NDArray[np.uint64], valid: npt.NDArray[np.bool_]) -> Numbers:
    """Return pairs (left < right) of valid documents with one key."""
    numbers = np.flatnonzero(valid)
    order = np.argsort(keys[numbers], kind="stable")  # within a key, by number
    numbers, keys = numbers[order], keys[numbers][order]
    if len(keys) < 2:
        return np.empty((0, 2), np.int64)
    starts = np.concatenate(([True], keys[1:] != keys[:-1]))
    first = numbers[np.maximum.accumulate(np.where(starts, np.arange(len(keys)), 0))]
    pairs = [np.stack((first[~starts], numbers[~starts]), axis=1)]
    for distance in range(1, min(_NEIGHBOURS, len(keys) - 1) + 1):
        same = keys[distance:] == keys[:-distance]
        if not same.any():
            break
        pairs.append(np.stack((numbers[:-distance][same], numbers[distance:][same]), axis=1))
    return np.unique(np.concatenate(pairs), axis=0)


def _verified(
    signatures: SignatureFiles, pairs: Numbers, lowest: float
) -> Iterator[npt.NDArray[Any]]:
    from pretrain_workloads.data.dedup.minhash import similarities

    for start in range(0, len(pairs), _CHUNK):
        left, right = pairs[start : start + _CHUNK].T
        found = similarities(signatures.rows(left), signatures.rows(right))
        good = found >= np.float32(lowest)
        edges = np.empty(int(good.sum()), EDGE)
        edges["left"], edges["right"] = left[good], right[good]
        edges["similarity"] = found[good]
        yield edges


def write_array(folder: Folder, path: str, values: npt.NDArray[Any]) -> None:
    """Publish a numpy array."""
    stream = io.BytesIO()
    np.save(stream, values)
    folder.write_bytes(path, stream.getvalue())


def read_array(folder: Folder, path: str) -> npt.NDArray[Any]:
    """Return a published numpy array."""
    values: npt.NDArray[Any] = np.load(io.BytesIO(folder.read_bytes(path)))
    return values
