"""The run's token blocks: opened when the first sequence of a block is needed.

Blocks on a volume are mapped where they are. Blocks on S3 are copied into the pod's scratch, once
for all ranks of the pod, and the copy goes when the next block is open.
"""

import fcntl
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.storage import Folder, open_artifact
from pretrain_workloads.trainer.blocks.blocks import (
    INDEX_FILE,
    Block,
    BlockIndex,
    Entry,
    parse_index,
)
from pretrain_workloads.trainer.blocks.sampler import Position, Sampler


class Dataset:
    """Sequences by sample number, checked against the vocabulary."""

    def __init__(self, run: TrainingRun, copies: Path) -> None:
        """Read the list of blocks; copies of blocks go below `copies`.

        Raises:
            BadData: If the list is broken.
            UserError: If the dataset cannot be opened, or has another sequence length.
        """
        self._folder = open_artifact(run.dataset)
        self._copies = copies
        self.index = read_index(self._folder)
        want = run.spec.training.sequence_length
        if self.index.seq_length != want:
            raise UserError(
                f"spec.training.sequenceLength: {want} is not that of TokenDataset "
                f"{run.spec.data.dataset_ref.name}, whose sequences have "
                f"{self.index.seq_length} tokens; use {self.index.seq_length}"
            )
        self._sampler = Sampler(
            [entry.sequences for entry in self.index.blocks], run.spec.training.seed
        )
        self._open: dict[str, Block] = {}

    def locate(self, sample: int) -> Position:
        """Return the place of a training sample."""
        return self._sampler.locate(sample)

    def training(self, sample: int, vocabulary_size: int) -> NDArray[np.int64]:
        """Return the ids of a training sample and the one that follows it."""
        found = self._sampler.sequence(sample)
        return self._read(self.index.blocks[found.block], found.index, vocabulary_size)

    def epochs(self, samples: int) -> float:
        """Return how often `samples` training samples read all sequences, to three digits."""
        return round(samples / self._sampler.total, 3)

    @property
    def held_out(self) -> int:
        """Return the number of sequences that are held out."""
        return sum(entry.sequences for entry in self.index.validation)

    def validation(self, number: int, vocabulary_size: int) -> NDArray[np.int64]:
        """Return the ids of a held-out sequence and the one that follows it."""
        for entry in self.index.validation:
            if number < entry.sequences:
                return self._read(entry, number, vocabulary_size)
            number -= entry.sequences
        raise IndexError(number)

    def _read(self, entry: Entry, index: int, vocabulary_size: int) -> NDArray[np.int64]:
        ids = self._block(entry).sequence(index)
        if int(ids.max()) >= vocabulary_size or int(ids.min()) < 0:
            wrong = int(ids.max()) if int(ids.max()) >= vocabulary_size else int(ids.min())
            raise BadData(
                f"{self._folder.uri_of(entry.path)}.bin: sequence {index} holds id {wrong}, but "
                f"the model knows the ids below {vocabulary_size}; delete the artifact and let "
                "the TokenDataset make it again"
            )
        return ids

    def _block(self, entry: Entry) -> Block:
        if entry.path not in self._open:
            kind = Path(entry.path).parent
            for path in [path for path in self._open if Path(path).parent == kind]:
                del self._open[path]
                self._drop_copy(path)
            self._open[entry.path] = Block(self._local(entry), entry, self.index.seq_length)
        return self._open[entry.path]

    def _local(self, entry: Entry) -> Path:
        if self._folder.is_local:
            with self._folder.fetched(f"{entry.path}.idx") as path:
                return path.with_suffix("")
        prefix = self._copies / entry.path
        prefix.parent.mkdir(parents=True, exist_ok=True)
        with prefix.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for suffix in (".idx", ".bin"):
                copy = prefix.with_suffix(suffix)
                if not copy.exists():
                    partial = prefix.with_suffix(f"{suffix}.partial")
                    self._folder.download(f"{entry.path}{suffix}", partial)
                    partial.replace(copy)
        return prefix

    def _drop_copy(self, path: str) -> None:
        if not self._folder.is_local:
            for suffix in (".idx", ".bin"):
                (self._copies / path).with_suffix(suffix).unlink(missing_ok=True)


def read_index(folder: Folder) -> BlockIndex:
    """Return the list of blocks in a dataset's folder.

    Raises:
        BadData: If it is broken.
        UserError: If it is absent.
    """
    return parse_index(folder.read_bytes(INDEX_FILE), folder.uri_of(INDEX_FILE))
