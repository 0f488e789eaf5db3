"""RMSNorm for sequence parallelism."""

from functools import partial
from typing import Any

import torch

from pretrain_workloads.trainer.kernels.recomputation import is_selective, with_recipe


class SequenceParallelNorm(torch.nn.RMSNorm):
    """RMSNorm whose weight is marked for sequence parallelism.

    Megatron-core sums the gradients of marked weights over the tensor-parallel ranks; its own
    wrapper of torch's norm refuses sequence parallelism.
    """

    def __init__(self, config: Any, hidden_size: int, eps: float = 1e-5, **options: Any) -> None:
        super().__init__(hidden_size, eps=eps, dtype=config.params_dtype)
        self.weight.sequence_parallel = config.sequence_parallel  # type: ignore[attr-defined]
        self._is_forgotten = is_selective(config)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalized input; selective recomputation does not keep it."""
        output = super().forward(x)
        if self._is_forgotten:
            with_recipe(output, partial(super().forward, x.detach()))
        return output


class HeadNorm(torch.nn.RMSNorm):
    """RMSNorm of each head's queries or keys.

    Megatron-core sums the gradients of `q_layernorm` and `k_layernorm` over the tensor-parallel
    ranks, whose heads differ, by their names.
    """

    def __init__(self, hidden_size: int, config: Any, eps: float = 1e-5, **options: Any) -> None:
        super().__init__(hidden_size, eps=eps, dtype=config.params_dtype)
