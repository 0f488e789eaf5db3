"""Cut sections of the planned stream out of the token files."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_api.artifacts import ArtifactFile
from pretrain_workloads.dataset.files import DatasetFiles
from pretrain_workloads.dataset.mixture import Numbers
from pretrain_workloads.dataset.plan import StreamPlan
from pretrain_workloads.indexed_blocks import MASK, index_bytes, mask_bytes
from pretrain_workloads.storage import Folder

type Tokens = npt.NDArray[Any]


def read_documents(folder: Folder, names: DatasetFiles, tasks: int) -> tuple[pa.Table, Numbers]:
    """Return the tokenized documents of all tasks, and the number of the first one of each task."""
    tables = []
    for rank in range(tasks):
        with folder.open(names.documents(rank)) as stream:
            tables.append(pq.read_table(stream))
    sizes = np.cumsum([0, *(table.num_rows for table in tables)])
    return pa.concat_tables(tables), sizes


@dataclass(frozen=True)
class TokenFiles:
    """The tokens of all documents, in mapped files."""

    files: list[Tokens]
    """One array for each task."""

    file_of: npt.NDArray[np.int32]
    """For each document, the task that tokenized it."""

    offsets: Numbers
    """For each document, the offset of its first token in the array."""

    def of(self, document: int, tokens: int) -> Tokens:
        """Return the first tokens of a document."""
        start = self.offsets[document]
        first_tokens: Tokens = self.files[self.file_of[document]][start : start + tokens]
        return first_tokens


@contextmanager
def open_tokens(
    folder: Folder, names: DatasetFiles, plan: StreamPlan, dtype: np.dtype[Any]
) -> Iterator[TokenFiles]:
    """Open the tokens of all documents, without reading them.

    Args:
        folder: Folder of the artifact.
        names: Paths of the token files.
        plan: Where the documents are.
        dtype: Type of the tokens.
    """
    tasks = len(plan.firsts) - 1
    file_of = np.repeat(np.arange(tasks, dtype=np.int32), np.diff(plan.firsts))
    ends = np.concatenate(([0], np.cumsum(plan.lengths)))
    offsets = ends[:-1] - ends[plan.firsts[:-1]][file_of]
    with ExitStack() as stack:
        files: list[Tokens] = []
        for rank in range(tasks):
            path = stack.enter_context(folder.fetched(names.tokens(rank)))
            empty = path.stat().st_size == 0  # an empty file cannot be mapped
            files.append(np.empty(0, dtype) if empty else np.memmap(path, dtype, "r"))
        yield TokenFiles(files, file_of, offsets)


def cut(
    tokens: TokenFiles, uses: npt.NDArray[Any], start: int, end: int, last: int
) -> tuple[Tokens, Numbers]:
    """Return the tokens [start, end) of the stream of `uses`, and the lengths of its documents.

    Args:
        tokens: The tokens of all documents.
        uses: The stream (`mixture.USE`).
        start: First token.
        end: End of the section, exclusive.
        last: Id that ends a document; a document that is cut gets it too.
    """
    ends = np.cumsum(uses["tokens"])
    first_use, last_use = np.searchsorted(ends, [start, end - 1], side="right")
    sections: list[Tokens] = []
    position = int(ends[first_use] - uses["tokens"][first_use])
    for use in uses[first_use : last_use + 1]:
        count = int(use["tokens"])
        document = np.array(tokens.of(int(use["document"]), count))
        document[-1] = last
        sections.append(document[max(0, start - position) : end - position])
        position += count
    return np.concatenate(sections), np.fromiter(map(len, sections), np.int64, len(sections))


def cut_counted(
    prompts: Numbers, uses: npt.NDArray[Any], start: int, end: int
) -> npt.NDArray[np.bool_]:
    """Return for each token [start, end) of the stream of `uses` whether it counts in the loss.

    Args:
        prompts: For each document, how many of its first tokens are a prompt.
        uses: The stream (`mixture.USE`).
        start: First token.
        end: End of the section, exclusive.
    """
    counted = np.ones(end - start, np.bool_)
    ends = np.cumsum(uses["tokens"])
    first_use, last_use = np.searchsorted(ends, [start, end - 1], side="right")
    for number in range(int(first_use), int(last_use) + 1):
        use = uses[number]
        position = int(ends[number] - use["tokens"])
        stop = position + min(int(prompts[use["document"]]), int(use["tokens"]))
        counted[max(0, position - start) : max(0, stop - start)] = False
    return counted


def publish_block(
    folder: Folder,
    path: str,
    section: tuple[Tokens, Numbers],
    counted: npt.NDArray[np.bool_] | None,
) -> list[ArtifactFile]:
    """Write the files of a block: `.bin` and `.idx` in Megatron's format, and `.mask`.

    Args:
        folder: Folder of the artifact.
        path: Path of the block.
        section: Its tokens, and the lengths of its documents.
        counted: For each token whether it counts in the loss. `None` means that all count.
    """
    files = []
    if counted is not None:
        files = [folder.write_bytes(f"{path}{MASK}", mask_bytes(counted))]
    return [*files, *_publish_pair(folder, path, *section)]


def _publish_pair(
    folder: Folder, path: str, tokens: Tokens, lengths: Numbers
) -> list[ArtifactFile]:
    """Write a `.bin` and `.idx` pair in Megatron's format, the index last."""
    with folder.publish(f"{path}.bin") as publication:
        tokens.tofile(publication.local)
    assert publication.file is not None
    return [
        publication.file,
        folder.write_bytes(f"{path}.idx", index_bytes(lengths, tokens.dtype)),
    ]
