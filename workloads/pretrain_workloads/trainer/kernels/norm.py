"""RMSNorm for sequence parallelism."""

from typing import Any

import torch


class SequenceParallelNorm(torch.nn.RMSNorm):
    """RMSNorm whose weight is marked for sequence parallelism.

    Megatron-core sums the gradients of marked weights over the tensor-parallel ranks; its own
    wrapper of torch's norm refuses sequence parallelism.
    """

    def __init__(self, config: Any, hidden_size: int, eps: float = 1e-5, **options: Any) -> None:
        super().__init__(hidden_size, eps=eps, dtype=config.params_dtype)
        self.weight.sequence_parallel = config.sequence_parallel  # type: ignore[attr-defined]


class HeadNorm(torch.nn.RMSNorm):
    """RMSNorm of each head's queries or keys.

    Megatron-core sums the gradients of `q_layernorm` and `k_layernorm` over the tensor-parallel
    ranks, whose heads differ, by their names.
    """

    def __init__(self, hidden_size: int, config: Any, eps: float = 1e-5, **options: Any) -> None:
        super().__init__(hidden_size, eps=eps, dtype=config.params_dtype)
