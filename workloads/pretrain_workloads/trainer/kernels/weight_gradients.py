"""Gradients of matrices, added to their 32-bit sums by the product that computes them.

Megatron-core leaves this to an extension of Apex or Transformer Engine, which images need not have.
"""

from types import SimpleNamespace
from typing import Any

import torch
from megatron.core.tensor_parallel import layers


def patch() -> None:
    """Make Megatron-core use this module where there is no such extension."""
    upstream: Any = layers
    if not upstream._grad_accum_fusion_available:
        upstream.fused_weight_gradient_mlp_cuda = SimpleNamespace(
            wgrad_gemm_accum_fp32=add_weight_gradient
        )
        upstream._grad_accum_fusion_available = True


def add_weight_gradient(
    input_NI: torch.Tensor,  # noqa: N803
    gradient_NO: torch.Tensor,  # noqa: N803
    sum_OI: torch.Tensor,  # noqa: N803
) -> None:
    """Add the gradient of a matrix with `I` columns and `O` rows, over `N` tokens, to its sum."""
    if input_NI.dtype == sum_OI.dtype:
        sum_OI.addmm_(gradient_NO.t(), input_NI)
    elif input_NI.is_cuda:
        torch.addmm(sum_OI, gradient_NO.t(), input_NI, out_dtype=sum_OI.dtype, out=sum_OI)
    else:  # no such kernel
        sum_OI.add_(gradient_NO.t() @ input_NI)
