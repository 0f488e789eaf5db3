"""Micro-batches of one rank: which samples they hold does not depend on the other parallel sizes.

Shapes: `B` sequences of a micro-batch, `L` tokens of a sequence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from megatron.core import parallel_state
from megatron.core.utils import get_batch_on_this_cp_rank
from numpy.typing import NDArray

from pretrain_workloads.trainer.megatron.parallel_layout import Layout


@dataclass(frozen=True)
class MicroBatch:
    """What one forward pass reads: this rank's part of its sequences."""

    tokens_BL: torch.Tensor  # noqa: N815
    labels_BL: torch.Tensor  # noqa: N815
    positions_BL: torch.Tensor  # noqa: N815
    weights_BL: torch.Tensor  # noqa: N815
    """One for a label that counts, zero for one that fills the last batch up."""
    tokens: int
    """Tokens of the whole sequences, over all context-parallel ranks."""


def micro_batches(
    layout: Layout,
    read: Callable[[int], NDArray[np.int64]],
    first: int,
    end: int,
    device: torch.device,
) -> Iterator[MicroBatch]:
    """Yield this rank's share of the global batch of samples from `first`.

    Samples from `end` on do not count: they repeat the sample `first`.
    """
    rank = parallel_state.get_data_parallel_rank()
    size = layout.micro_batch_size
    start = first + rank * layout.micro_batches * size
    for number in range(layout.micro_batches):
        samples = range(start + number * size, start + (number + 1) * size)
        ids = np.stack([read(sample if sample < end else first) for sample in samples])
        counts = [float(sample < end) for sample in samples]
        yield _micro_batch(torch.from_numpy(ids), counts, device)


def _micro_batch(ids: torch.Tensor, counts: list[float], device: torch.device) -> MicroBatch:
    batch, length = ids.shape[0], ids.shape[1] - 1
    parts = {
        "tokens": ids[:, :-1].contiguous().to(device),
        "labels": ids[:, 1:].contiguous().to(device),
        "position_ids": torch.arange(length, device=device).expand(batch, length),
        "loss_mask": torch.tensor(counts, device=device)[:, None].expand(batch, length),
    }
    if parallel_state.get_context_parallel_world_size() > 1:
        # Without the group, the world would be taken for it.
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
