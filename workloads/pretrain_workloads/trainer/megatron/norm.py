"""RMSNorm for ranks that share a sequence."""

from typing import Any

import torch


class SequenceParallelNorm(torch.nn.RMSNorm):
    """RMSNorm whose weight says that its gradient is spread over the tensor-parallel ranks.

    Megatron-core sums the gradients of weights that are marked so; its own wrapper of the torch
    norm refuses sequence parallelism instead.
    """

    def __init__(self, config: Any, hidden_size: int, eps: float = 1e-5, **options: Any) -> None:
        super().__init__(hidden_size, eps=eps, dtype=config.params_dtype)
        self.weight.sequence_parallel = config.sequence_parallel  # type: ignore[attr-defined]
