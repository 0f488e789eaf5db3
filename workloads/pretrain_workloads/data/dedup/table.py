"""What `decide` knows of all documents: some bytes for each, never the text."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pretrain_api.v1alpha1.pipeline.models import QualityFloor
from pretrain_workloads.data.dedup.exact import FirstCopies, first_copies
from pretrain_workloads.data.dedup.thresholds import Thresholds, tokens_per_character
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.data.quality_floors import beyond_fraction, floor_of
from pretrain_workloads.data.shards import read_columns
from pretrain_workloads.storage import Folder

type Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PreparedShards:
    """The prepared shards of all tasks."""

    folder: Folder
    names: PipelineFiles
    tasks: int

    def columns(self, *names: str) -> Iterator[pa.Table]:
        """Yield some columns of each shard, in the order that documents are numbered in."""
        for rank in range(self.tasks):
            yield read_columns(self.folder, self.names.shard(rank), names)


@dataclass(frozen=True)
class DocumentTable:
    """One value for each document, by its number over all shards."""

    first: FirstCopies
    """The first document with the same text: itself, unless it is an exact copy."""

    scores: npt.NDArray[np.float32]
    """The higher of two scores stays."""

    tokens: npt.NDArray[np.float32]
    """Estimated tokens."""

    below: npt.NDArray[np.bool_]
    """Whether the document, and every copy of its text, is dropped for its quality."""

    thresholds: npt.NDArray[np.uint8]
    """Place of the document's threshold in `Thresholds.limits`."""


def scores_of(keep: str, characters: Scores, quality: Scores) -> Scores:
    """Return the score of each document by the rule `near.keep`.

    Args:
        keep: `highestQuality`, `longest` or `first`.
        characters: Characters of each document.
        quality: Quality of each document, NaN if it has none.
    """
    if keep == "longest":
        return characters
    if keep == "highestQuality":
        return np.nan_to_num(quality, nan=-np.inf)
    return np.zeros_like(characters)


def read_table(
    shards: PreparedShards,
    exact: bool,
    thresholds: Thresholds | None,
    floors: list[QualityFloor],
) -> DocumentTable:
    """Return the table of all documents.

    Args:
        shards: The prepared shards.
        exact: Whether exact copies count as such.
        thresholds: Thresholds of near-duplicates, if they are dropped.
        floors: Least quality by language and domain.
    """
    first = _first_copies(shards, exact)
    scores = np.empty(len(first), np.float32)
    tokens = np.empty(len(first), np.float32)
    codes = np.zeros(len(first), np.uint8)
    size = len(first) if floors else 0  # without floors nothing needs them
    qualities, entries = np.empty(size, np.float32), np.empty(size, np.int8)
    keep, start = thresholds.near.keep if thresholds else "first", 0
    for table in shards.columns("language", "domain", "characters", "quality"):
        rows = slice(start, start + table.num_rows)
        start += table.num_rows
        characters = table["characters"].to_numpy().astype(np.float64)
        quality = table["quality"].to_numpy().astype(np.float64)
        scores[rows] = scores_of(keep, characters, quality)
        languages = table["language"].to_pylist()
        factors = {name: tokens_per_character(name) for name in set(languages)}
        if floors:
            qualities[rows] = quality
            entries[rows] = floor_of(floors, languages, table["domain"].to_pylist())
        tokens[rows] = characters * [factors[name] for name in languages]
        if thresholds is not None and thresholds.near.per_domain:
            codes[rows] = thresholds.codes(table["domain"].to_numpy(zero_copy_only=False))
    below = np.zeros(len(first), np.bool_)
    if floors:
        below = beyond_fraction(floors, entries, first, qualities)
    return DocumentTable(first, scores, tokens, below, codes)


def _first_copies(shards: PreparedShards, exact: bool) -> FirstCopies:
    halves = [_halves(table["hash"].combine_chunks()) for table in shards.columns("hash")]
    low = np.concatenate([np.empty(0, np.uint64), *(part[:, 0] for part in halves)])
    high = np.concatenate([np.empty(0, np.uint64), *(part[:, 1] for part in halves)])
    halves.clear()
    if not exact:
        return np.arange(len(low), dtype=np.uint32)
    return first_copies(low, high)


def _halves(hashes: pa.Array) -> npt.NDArray[np.uint64]:
    """Return the two halves of 128-bit hashes, without copying them."""
    if isinstance(hashes, pa.ChunkedArray):  # of a table without rows
        return np.empty((0, 2), np.uint64)
    content = hashes.buffers()[1]
    values = np.frombuffer(content, np.uint64, 2 * len(hashes), 16 * hashes.offset)
    return values.reshape(-1, 2)
