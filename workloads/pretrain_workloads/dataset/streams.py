"""Cut a planned stream out of the files of tokens."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_api.artifacts import ArtifactFile
from pretrain_workloads.dataset.layout import Work
from pretrain_workloads.indexed_blocks import index_bytes
from pretrain_workloads.storage import Folder

type Numbers = npt.NDArray[np.int64]
type Tokens = npt.NDArray[Any]


def read_documents(folder: Folder, work: Work, tasks: int) -> tuple[pa.Table, Numbers]:
    """Return the tokenized documents of all tasks, and the number of the first of each task."""
    tables = []
    for rank in range(tasks):
        with folder.open(work.documents(rank)) as stream:
            tables.append(pq.read_table(stream))
    sizes = np.cumsum([0, *(table.num_rows for table in tables)])
    return pa.concat_tables(tables), sizes


@dataclass(frozen=True)
class TokenFiles:
    """The tokens of all documents."""

    files: list[Tokens]
    """One array for each task."""

    file_of: npt.NDArray[np.int32]
    """For each document, its task."""

    offsets: Numbers
    """For each document, its first token in the array."""

    def of(self, document: int, tokens: int) -> Tokens:
        """Return the first tokens of a document."""
        start = self.offsets[document]
        found: Tokens = self.files[self.file_of[document]][start : start + tokens]
        return found


@contextmanager
def open_tokens(
    folder: Folder, work: Work, firsts: Numbers, lengths: Numbers, dtype: np.dtype[Any]
) -> Iterator[TokenFiles]:
    """Give the tokens of all documents, without reading what is not asked for.

    Args:
        folder: The artifact's.
        work: Names of the files.
        firsts: Number of the first document of each task, and of all.
        lengths: Tokens of each document.
        dtype: Type of the tokens.
    """
    tasks = len(firsts) - 1
    file_of = np.repeat(np.arange(tasks, dtype=np.int32), np.diff(firsts))
    ends = np.concatenate(([0], np.cumsum(lengths)))
    offsets = ends[:-1] - ends[firsts[:-1]][file_of]
    with ExitStack() as stack:
        files: list[Tokens] = []
        for rank in range(tasks):
            path = stack.enter_context(folder.fetched(work.tokens(rank)))
            empty = path.stat().st_size == 0  # cannot be mapped
            files.append(np.empty(0, dtype) if empty else np.memmap(path, dtype, "r"))
        yield TokenFiles(files, file_of, offsets)


def cut(
    tokens: TokenFiles, uses: npt.NDArray[Any], start: int, end: int, last: int
) -> tuple[Tokens, Numbers]:
    """Return the tokens [start, end) of the stream of `uses`, and the lengths of its documents.

    Args:
        tokens: Where they are.
        uses: The stream (`mixture.USE`).
        start: First token.
        end: Token behind the last.
        last: Id that ends a document, also one that was cut short.
    """
    ends = np.cumsum(uses["tokens"])
    first, behind = np.searchsorted(ends, [start, end - 1], side="right")
    pieces: list[Tokens] = []
    position = int(ends[first] - uses["tokens"][first])
    for use in uses[first : behind + 1]:
        count = int(use["tokens"])
        piece = np.array(tokens.of(int(use["document"]), count))
        piece[-1] = last
        pieces.append(piece[max(0, start - position) : end - position])
        position += count
    return np.concatenate(pieces), np.fromiter(map(len, pieces), np.int64, len(pieces))


def publish_pair(folder: Folder, path: str, tokens: Tokens, lengths: Numbers) -> list[ArtifactFile]:
    """Write a Megatron `.bin` and `.idx` pair, the index last."""
    with folder.publish(f"{path}.bin") as publication:
        tokens.tofile(publication.local)
    assert publication.file is not None
    return [
        publication.file,
        folder.write_bytes(f"{path}.idx", index_bytes(lengths, tokens.dtype)),
    ]
