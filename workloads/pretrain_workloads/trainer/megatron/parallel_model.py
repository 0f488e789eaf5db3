"""The model as it is divided over the ranks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pretrain_workloads.trainer.megatron.parallel_layout import ParallelLayout
from pretrain_workloads.trainer.megatron.process_groups import ProcessGroups


@dataclass(frozen=True)
class ParallelModel:
    """This rank's part of the model, and how it fits to the parts of the other ranks."""

    chunks: list[Any]
    """One chunk, or one for each virtual pipeline stage of this rank."""
    layout: ParallelLayout
    groups: ProcessGroups

    @property
    def is_interleaved(self) -> bool:
        """Return whether the pipeline schedule interleaves several chunks of each rank."""
        return len(self.chunks) > 1

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put the model into evaluation mode while the body runs."""
        for chunk in self.chunks:
            chunk.eval()
        try:
            yield
        finally:
            for chunk in self.chunks:
                chunk.train()
