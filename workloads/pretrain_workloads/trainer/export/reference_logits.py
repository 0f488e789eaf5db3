"""Logits of the trained model, as it is spread over the ranks, to check its export against."""

from collections.abc import Iterator
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.utils import get_batch_on_this_cp_rank

from pretrain_workloads.trainer.megatron.parallel_layout import Layout
from pretrain_workloads.trainer.megatron.process_groups import World

POSITIONS = 64
"""Positions whose logits are compared."""


@torch.no_grad()
def reference_logits(
    chunks: list[Any], layout: Layout, world: World, ids: torch.Tensor
) -> torch.Tensor:
    """Return the logits of the first positions of one sequence, on every rank.

    Args:
        chunks: This rank's part of the model.
        layout: How the model is spread.
        world: This rank's place.
        ids: One whole sequence, the same on every rank.

    Returns:
        A tensor `[positions, vocabulary]` in fp32 on the CPU.
    """
    parts = {
        "tokens": ids[None].to(world.device),
        "positions": torch.arange(len(ids), device=world.device)[None],
    }
    if layout.context_parallel_size > 1:
        parts = get_batch_on_this_cp_rank(
            parts, is_hybrid_cp=False, cp_group=parallel_state.get_context_parallel_group()
        )

    def forward(iterator: Iterator[Any] | None, model: Any) -> tuple[torch.Tensor, Any]:
        output = model(parts["tokens"], parts["positions"], None)
        return output, lambda logits, non_loss_data=False: logits

    for chunk in chunks:
        chunk.eval()
    interleaved = len(chunks) > 1
    results = get_forward_backward_func()(
        forward_step_func=forward,
        data_iterator=[None] * len(chunks) if interleaved else None,
        model=chunks if interleaved else chunks[0],
        # An interleaved pipeline needs a multiple of its stages; they all see the same sequence.
        num_microbatches=layout.pipeline_model_parallel_size if interleaved else 1,
        seq_length=layout.seq_length,
        micro_batch_size=1,
        forward_only=True,
        collect_non_loss_data=True,
    )
    for chunk in chunks:
        chunk.train()
    return _assemble(results, parts["positions"][0], layout, world)


def _assemble(
    results: list[Any], positions_of_rank: torch.Tensor, layout: Layout, world: World
) -> torch.Tensor:
    """Return the logits of all ranks, each of which has some positions and some ids."""
    positions = min(POSITIONS, layout.seq_length)
    whole = torch.zeros(positions, layout.padded_vocabulary_size, device=world.device)
    if results and parallel_state.get_data_parallel_rank() == 0:
        logits = results[0][0].float()  # [positions of this rank, ids of this rank]
        first = parallel_state.get_tensor_model_parallel_rank() * logits.shape[1]
        kept = positions_of_rank < positions
        whole[positions_of_rank[kept], first : first + logits.shape[1]] = logits[kept]
    torch.distributed.all_reduce(whole)
    return whole.cpu()
