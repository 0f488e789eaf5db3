"""Core attention with torch's own kernel, also with context parallelism.

Shapes: `L` positions of this rank, `S` positions of all context-parallel ranks, `B` batch,
`H` query heads and `G` key-value heads of this rank, `D` head dimension.
"""

import math
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel.mappings import gather_from_sequence_parallel_region
from megatron.core.transformer.module import MegatronModule
from torch.nn.functional import scaled_dot_product_attention


class CausalAttention(MegatronModule):  # type: ignore[misc]
    """Causal grouped-query attention.

    Context parallelism gathers the keys and values of all ranks: memory grows with the whole
    sequence, but only for two tensors of `G` heads.
    """

    def __init__(
        self,
        config: Any,
        layer_number: int,
        attn_mask_type: Any,
        attention_type: str,
        attention_dropout: float | None = None,
        softmax_scale: float | None = None,
        cp_comm_type: str | None = None,
        pg_collection: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(config=config)
        self._scale = softmax_scale or 1.0 / math.sqrt(config.kv_channels)
        self._group = (
            parallel_state.get_context_parallel_group()
            if pg_collection is None
            else pg_collection.cp
        )

    def forward(
        self,
        query_LBHD: torch.Tensor,  # noqa: N803
        key_LBGD: torch.Tensor,  # noqa: N803
        value_LBGD: torch.Tensor,  # noqa: N803
        attention_mask: torch.Tensor | None,
        **options: Any,
    ) -> torch.Tensor:
        """Return the attended values, `[L, B, H * D]`."""
        mask_LS = None  # noqa: N806
        if self._group.size() > 1:
            key_LBGD = gather_from_sequence_parallel_region(key_LBGD, group=self._group)  # noqa: N806
            value_LBGD = gather_from_sequence_parallel_region(value_LBGD, group=self._group)  # noqa: N806
            mask_LS = _causal_mask(  # noqa: N806
                key_LBGD.shape[0], self._group.rank(), self._group.size(), query_LBHD.device
            )
        attended_BHLD = scaled_dot_product_attention(  # noqa: N806
            query_LBHD.permute(1, 2, 0, 3),
            key_LBGD.permute(1, 2, 0, 3),
            value_LBGD.permute(1, 2, 0, 3),
            attn_mask=mask_LS,
            is_causal=mask_LS is None,
            scale=self._scale,
            enable_gqa=query_LBHD.shape[2] != key_LBGD.shape[2],
        )
        length, batch = query_LBHD.shape[:2]
        return attended_BHLD.permute(2, 0, 1, 3).reshape(length, batch, -1)


def _causal_mask(length: int, rank: int, ranks: int, device: torch.device) -> torch.Tensor:
    """Return which positions each position of this rank may attend to, `[L, S]`.

    Megatron-core cuts the sequence into 2 · `ranks` chunks and gives rank r the chunks r and
    2 · `ranks` - 1 - r, so that all ranks have equal work.
    """
    chunk = length // (2 * ranks)
    offsets = torch.arange(chunk, device=device)

    def positions(of: int) -> torch.Tensor:
        return torch.cat([offsets + of * chunk, offsets + (2 * ranks - 1 - of) * chunk])

    gathered = torch.cat([positions(other) for other in range(ranks)])
    return positions(rank)[:, None] >= gathered[None, :]
