"""The sequences of a run's token blocks, by sample number.

A block is opened when its first sequence is needed. Blocks on a volume are mapped where they are.
Blocks on S3 are copied into the pod's scratch, once for all ranks of the pod; a copy is deleted
when the next block is opened.
"""

import fcntl
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pretrain_api.formulas.vocabulary import vocabulary_size_of
from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.storage import open_artifact
from pretrain_workloads.trainer.blocks.block_list import BlockEntry, read_block_list
from pretrain_workloads.trainer.blocks.checksums import BlockChecksums
from pretrain_workloads.trainer.blocks.sampler import SamplePosition, Sampler
from pretrain_workloads.trainer.blocks.token_block import TokenBlock
from pretrain_workloads.trainer.megatron.process_groups import ProcessGroups


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
        self.block_list = read_block_list(self._folder)
        want = run.spec.training.sequence_length
        if self.block_list.seq_length != want:
            raise UserError(
                f"spec.training.sequenceLength: {want} is not that of TokenDataset "
                f"{run.spec.data.dataset_ref.name}, whose sequences have "
                f"{self.block_list.seq_length} tokens; use {self.block_list.seq_length}"
            )
        self._vocabulary_size = vocabulary_size_of(
            run.spec.model.vocabulary_size, self.block_list.vocabulary_size
        )
        self._sampler = Sampler(
            [entry.sequences for entry in self.block_list.blocks], run.spec.training.seed
        )
        self._open: dict[str, TokenBlock] = {}
        self._checksums: BlockChecksums | None = None

    def check_blocks(self, groups: ProcessGroups) -> None:
        """Compare the blocks with their checksums while they are read.

        One rank does it for all that see the same files: all ranks, or those of a pod.
        """
        if (groups.rank if self._folder.is_local else groups.local_rank) == 0:
            self._checksums = BlockChecksums(self._folder)

    def finish_checks(self) -> None:
        """Wait until all blocks that were read are compared.

        Raises:
            BadData: If a file has another checksum.
        """
        if self._checksums is not None:
            self._checksums.finish()

    def locate(self, sample: int) -> SamplePosition:
        """Return the position of a training sample."""
        return self._sampler.locate(sample)

    def training_sequence(self, sample: int) -> NDArray[np.int64]:
        """Return the ids of a training sample and the id that follows it."""
        sequence = self._sampler.sequence(sample)
        return self._read(self.block_list.blocks[sequence.block], sequence.index)

    def epochs(self, samples: int) -> float:
        """Return how often `samples` training samples read all sequences, to three digits."""
        return round(samples / self._sampler.total, 3)

    @property
    def validation_size(self) -> int:
        """Return the number of held-out sequences."""
        return sum(entry.sequences for entry in self.block_list.validation)

    @property
    def validation_bytes(self) -> int | None:
        """Return the bytes of text that the labels of held-out sequences stand for, if known."""
        sizes = [entry.bytes for entry in self.block_list.validation]
        return sum(size for size in sizes if size is not None) if all(sizes) and sizes else None

    def validation_sequence(self, number: int) -> NDArray[np.int64]:
        """Return the ids of a held-out sequence and the id that follows it."""
        for entry in self.block_list.validation:
            if number < entry.sequences:
                return self._read(entry, number)
            number -= entry.sequences
        raise IndexError(number)

    def _read(self, entry: BlockEntry, index: int) -> NDArray[np.int64]:
        if self._checksums is not None:
            self._checksums.raise_problems()
        ids = self._block(entry).sequence(index)
        if int(ids.max()) >= self._vocabulary_size or int(ids.min()) < 0:
            wrong = int(ids.max()) if int(ids.max()) >= self._vocabulary_size else int(ids.min())
            raise BadData(
                f"{self._folder.uri_of(entry.path)}.bin: sequence {index} holds id {wrong}, but "
                f"the model knows the ids below {self._vocabulary_size}; delete the artifact and "
                "let the TokenDataset make it again"
            )
        return ids

    def _block(self, entry: BlockEntry) -> TokenBlock:
        if entry.path not in self._open:
            kind = Path(entry.path).parent  # training and validation blocks are open side by side
            for path in [path for path in self._open if Path(path).parent == kind]:
                del self._open[path]
                self._delete_copy(path)
            prefix = self._local_prefix(entry)
            block = TokenBlock(prefix, entry, self.block_list.seq_length)
            if self._checksums is not None:
                self._checksums.start(entry.path, prefix)
            self._open[entry.path] = block
        return self._open[entry.path]

    def _local_prefix(self, entry: BlockEntry) -> Path:
        """Return the local path of a block's files, without suffix."""
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

    def _delete_copy(self, path: str) -> None:
        if not self._folder.is_local:
            for suffix in (".idx", ".bin"):
                (self._copies / path).with_suffix(suffix).unlink(missing_ok=True)
