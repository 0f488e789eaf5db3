"""The sequences of a run's token blocks, by sample number."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pretrain_api.formulas.vocabulary import vocabulary_size_of
from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.storage import open_artifact
from pretrain_workloads.trainer.blocks.block_files import BlockFiles
from pretrain_workloads.trainer.blocks.block_list import BlockEntry, read_block_list
from pretrain_workloads.trainer.blocks.checksums import BlockChecksums
from pretrain_workloads.trainer.blocks.sampler import BlockSequence, SamplePosition, Sampler
from pretrain_workloads.trainer.blocks.skipped import SkippedSamples
from pretrain_workloads.trainer.megatron.process_groups import ProcessGroups


@dataclass(frozen=True)
class LabelledSequence:
    """One sequence of `L` tokens."""

    ids: NDArray[np.int64]
    """Its ids and the one that follows them, `[L + 1]`: all but the first are labels."""
    counted: NDArray[np.bool_] | None
    """Whether each label counts in the loss, `[L]`. `None` means that all do."""


class Dataset:
    """Sequences by sample number, checked against the vocabulary."""

    def __init__(self, run: TrainingRun, copies: Path) -> None:
        """Read the list of blocks; copies of blocks go below `copies`.

        Raises:
            BadData: If the list is broken.
            UserError: If the dataset cannot be opened, or has another sequence length.
        """
        self._folder = open_artifact(run.dataset)
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
        self._files = BlockFiles(self._folder, self.block_list, copies)
        self.skipped = SkippedSamples()
        """Samples that rollbacks leave out."""

    def check_blocks(self, groups: ProcessGroups) -> None:
        """Compare the blocks with their checksums while they are read.

        One rank does it for all that see the same files: all ranks, or those of a pod.
        """
        if (groups.rank if self._folder.is_local else groups.local_rank) == 0:
            self._files.checksums = BlockChecksums(self._folder)

    def finish_checks(self) -> None:
        """Wait until all blocks that were read are compared.

        Raises:
            BadData: If a file has another checksum.
        """
        if self._files.checksums is not None:
            self._files.checksums.finish()

    def locate(self, sample: int) -> SamplePosition:
        """Return the position of a training sample."""
        return self._sampler.locate(self.skipped.data_sample(sample))

    def training_sample(self, number: int) -> LabelledSequence:
        """Return a training sample, and start to copy the next block while this one is read."""
        sequence = self._sequence(number)
        blocks = self.block_list.blocks
        sample = self._read(blocks[sequence.block], sequence.index)
        self._files.prefetch(blocks[(sequence.block + 1) % len(blocks)])
        return sample

    def counted_labels(self, numbers: range) -> int:
        """Return how many labels of training samples count in the loss."""
        length = self.block_list.seq_length
        if not any(entry.has_mask for entry in self.block_list.blocks):
            return len(numbers) * length
        counted = 0
        for number in numbers:
            sequence = self._sequence(number)
            mask = self._files.open(self.block_list.blocks[sequence.block]).counted(sequence.index)
            counted += length if mask is None else int(mask.sum())
        return counted

    def epochs(self, samples: int) -> float:
        """Return how often `samples` training samples read all sequences, to three digits."""
        return round(self.skipped.data_sample(samples) / self._sampler.total, 3)

    def _sequence(self, number: int) -> BlockSequence:
        return self._sampler.sequence(self.skipped.data_sample(number))

    def validation_sample(self, entry: BlockEntry, number: int) -> LabelledSequence:
        """Return a held-out sample of a validation set."""
        return self._read(entry, number)

    def _read(self, entry: BlockEntry, index: int) -> LabelledSequence:
        if self._files.checksums is not None:
            self._files.checksums.raise_problems()
        block = self._files.open(entry)
        ids = block.sequence(index)
        if int(ids.max()) >= self._vocabulary_size or int(ids.min()) < 0:
            wrong = int(ids.max()) if int(ids.max()) >= self._vocabulary_size else int(ids.min())
            raise BadData(
                f"{self._folder.uri_of(entry.path)}.bin: sequence {index} holds id {wrong}, but "
                f"the model knows the ids below {self._vocabulary_size}; delete the artifact and "
                "let the TokenDataset make it again"
            )
        return LabelledSequence(ids, block.counted(index))
