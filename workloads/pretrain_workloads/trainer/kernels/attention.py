"""Core attention with torch's own kernels, also with context parallelism.

Shapes: `L` positions of this rank, `S` positions of all context-parallel ranks, `B` batch,
`H` query heads and `G` key-value heads of this rank, `D` head dimension.
"""

import math
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel.mappings import gather_from_sequence_parallel_region
from megatron.core.transformer.module import MegatronModule
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention

from pretrain_workloads.trainer.kernels.devices import attention_kernels
from pretrain_workloads.trainer.kernels.rotary import rotate, rotations
from pretrain_workloads.trainer.kernels.rotary_waves import RotaryWaves


class CausalAttention(MegatronModule):  # type: ignore[misc]
    """Causal grouped-query attention with rotary positions.

    Context parallelism gathers the keys and values of all ranks: memory grows with the whole
    sequence, but only for two tensors of `G` heads. Each of this rank's two chunks of queries
    attends to the keys up to its end only.
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
        *,
        waves: RotaryWaves,
        **options: Any,
    ) -> None:
        super().__init__(config=config)
        self._waves = waves
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
        length, batch, _, width = query_LBHD.shape
        ranks, rank = self._group.size(), self._group.rank()
        cosine, sine = rotations(
            chunks_of_rank(length, rank, ranks),
            width,
            self._waves,
            query_LBHD.dtype,
            query_LBHD.device,
        )
        query_LBHD = rotate(query_LBHD, cosine, sine)  # noqa: N806
        key_LBGD = rotate(key_LBGD, cosine, sine)  # noqa: N806
        if ranks == 1:
            attended_LBHD = self._attend(query_LBHD, key_LBGD, value_LBGD)  # noqa: N806
        else:
            attended_LBHD = self._attend_to_all(query_LBHD, key_LBGD, value_LBGD)  # noqa: N806
        return attended_LBHD.reshape(length, batch, -1)

    def _attend_to_all(
        self,
        query_LBHD: torch.Tensor,  # noqa: N803
        key_LBGD: torch.Tensor,  # noqa: N803
        value_LBGD: torch.Tensor,  # noqa: N803
    ) -> torch.Tensor:
        """Return what this rank's queries attend to on all context-parallel ranks."""
        ranks, rank = self._group.size(), self._group.rank()
        chunk = query_LBHD.shape[0] // 2
        key_SBGD, value_SBGD = (  # noqa: N806
            _in_order(gather_from_sequence_parallel_region(part, group=self._group), ranks)
            for part in (key_LBGD, value_LBGD)
        )
        ends = [(number + 1) * chunk for number in (rank, 2 * ranks - 1 - rank)]
        return torch.cat(
            [
                self._attend(queries, key_SBGD[:end], value_SBGD[:end])
                for queries, end in zip(query_LBHD.chunk(2), ends, strict=True)
            ]
        )

    def _attend(
        self,
        query_LBHD: torch.Tensor,  # noqa: N803
        key_SBGD: torch.Tensor,  # noqa: N803
        value_SBGD: torch.Tensor,  # noqa: N803
    ) -> torch.Tensor:
        """Return the attended values of the last `L` of `S` positions, `[L, B, H, D]`."""
        lengths = query_LBHD.shape[0], key_SBGD.shape[0]
        is_square = lengths[0] == lengths[1]
        with attention_kernels(query_LBHD.device):
            attended_BHLD = scaled_dot_product_attention(  # noqa: N806
                query_LBHD.permute(1, 2, 0, 3),
                key_SBGD.permute(1, 2, 0, 3),
                value_SBGD.permute(1, 2, 0, 3),
                attn_mask=None if is_square else causal_lower_right(*lengths),
                is_causal=is_square,
                scale=self._scale,
                enable_gqa=query_LBHD.shape[2] != key_SBGD.shape[2],
            )
        return attended_BHLD.permute(2, 0, 1, 3)


def chunks_of_rank(length: int, rank: int, ranks: int) -> tuple[range, ...]:
    """Return the positions of a rank's `length` tokens.

    Megatron-core cuts the sequence into 2 · `ranks` chunks and gives rank r the chunks r and
    2 · `ranks` - 1 - r, so that all ranks have equal work.
    """
    if ranks == 1:
        return (range(length),)
    chunk = length // 2
    return tuple(
        range(number * chunk, (number + 1) * chunk) for number in (rank, 2 * ranks - 1 - rank)
    )


def _in_order(gathered_SBGD: torch.Tensor, ranks: int) -> torch.Tensor:  # noqa: N803
    """Return the chunks of all ranks in the order of their positions."""
    chunks = gathered_SBGD.chunk(2 * ranks)
    return torch.cat([*chunks[::2], *chunks[::-2]])
