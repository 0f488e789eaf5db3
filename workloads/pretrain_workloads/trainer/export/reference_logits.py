"""Logits of the trained model, computed by all ranks, to check the export against."""

from collections.abc import Iterator
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.utils import get_batch_on_this_cp_rank

from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel

POSITIONS = 64
"""Positions whose logits are compared."""


@torch.no_grad()
def reference_logits(model: ParallelModel, ids: torch.Tensor) -> torch.Tensor:
    """Return the logits of the first positions of one sequence, on every rank.

    Args:
        model: The trained model.
        ids: One whole sequence, the same on every rank.

    Returns:
        A tensor `[positions, vocabulary]` in fp32 on the CPU.
    """
    layout, device = model.layout, model.groups.device
    parts = {
        "tokens": ids[None].to(device),
        "positions": torch.arange(len(ids), device=device)[None],
    }
    if layout.context_parallel_size > 1:
        parts = get_batch_on_this_cp_rank(
            parts, is_hybrid_cp=False, cp_group=parallel_state.get_context_parallel_group()
        )

    def forward(iterator: Iterator[Any] | None, chunk: Any) -> tuple[torch.Tensor, Any]:
        return chunk(parts["tokens"], parts["positions"], None), _keep_logits

    with model.evaluating():
        results = get_forward_backward_func()(
            forward_step_func=forward,
            data_iterator=[None] * len(model.chunks) if model.is_interleaved else None,
            model=model.chunks if model.is_interleaved else model.chunks[0],
            # An interleaved pipeline needs a multiple of its stages; all see the same sequence.
            num_microbatches=layout.pipeline_model_parallel_size if model.is_interleaved else 1,
            seq_length=layout.seq_length,
            micro_batch_size=1,
            forward_only=True,
            collect_non_loss_data=True,
        )
    return _gather(results, parts["positions"][0], model)


def _keep_logits(logits: torch.Tensor, non_loss_data: bool = False) -> torch.Tensor:
    """Take the place of a loss function in Megatron-core's schedule."""
    return logits


def _gather(
    results: list[Any], positions_of_rank: torch.Tensor, model: ParallelModel
) -> torch.Tensor:
    """Return the logits of all ranks, each of which has some positions and some ids."""
    layout = model.layout
    positions = min(POSITIONS, layout.seq_length)
    whole = torch.zeros(positions, layout.padded_vocabulary_size, device=model.groups.device)
    if results and parallel_state.get_data_parallel_rank() == 0:
        logits = results[0][0].float()  # [positions of this rank, ids of this rank]
        first = parallel_state.get_tensor_model_parallel_rank() * logits.shape[1]
        kept = positions_of_rank < positions
        whole[positions_of_rank[kept], first : first + logits.shape[1]] = logits[kept]
    torch.distributed.all_reduce(whole)
    return whole.cpu()
