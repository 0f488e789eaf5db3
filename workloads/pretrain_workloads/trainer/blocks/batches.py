"""The sequences of a global batch, cut into the micro-batches of each rank.

Which samples a global batch holds does not depend on the parallel sizes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from megatron.core import parallel_state
from megatron.core.utils import get_batch_on_this_cp_rank
from numpy.typing import NDArray

from pretrain_workloads.trainer.megatron.forward_backward import MicroBatch
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel


@dataclass(frozen=True)
class GlobalBatch:
    """This rank's micro-batches of the samples from `first`.

    Every iteration reads the samples anew: the interleaved pipeline schedule takes one iterator for
    each model chunk of a rank, and all of them yield the same micro-batches.
    """

    read: Callable[[int], NDArray[np.int64]]
    """Returns the ids of a sample and the id that follows it."""
    model: ParallelModel
    """The model that the batch is for."""
    first: int
    """First sample of the batch."""
    end: int
    """Samples from here on do not count; sample `first` is repeated instead."""

    def __iter__(self) -> Iterator[MicroBatch]:
        """Yield the micro-batches of this rank."""
        layout = self.model.layout
        size = layout.micro_batch_size
        start = self.first + parallel_state.get_data_parallel_rank() * layout.micro_batches * size
        for number in range(layout.micro_batches):
            samples = range(start + number * size, start + (number + 1) * size)
            ids = [self.read(sample if sample < self.end else self.first) for sample in samples]
            weights = [float(sample < self.end) for sample in samples]
            yield _micro_batch(torch.from_numpy(np.stack(ids)), weights, self.model.groups.device)


def _micro_batch(ids: torch.Tensor, weights: list[float], device: torch.device) -> MicroBatch:
    batch, length = ids.shape[0], ids.shape[1] - 1
    parts = {
        "tokens": ids[:, :-1].contiguous().to(device),
        "labels": ids[:, 1:].contiguous().to(device),
        "position_ids": torch.arange(length, device=device).expand(batch, length),
        "loss_mask": torch.tensor(weights, device=device)[:, None].expand(batch, length),
    }
    if parallel_state.get_context_parallel_world_size() > 1:
        # Without the group, Megatron-core would divide the sequence over all ranks.
        parts = get_batch_on_this_cp_rank(
            parts, is_hybrid_cp=False, cp_group=parallel_state.get_context_parallel_group()
        )
    return MicroBatch(
        parts["tokens"],
        parts["labels"],
        parts["position_ids"],
        parts["loss_mask"],
        tokens=batch * length,
    )
