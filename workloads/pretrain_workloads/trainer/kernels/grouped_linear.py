"""Products of many matrices with one part of the tokens each.

Shapes: `N` tokens, `E` matrices, `I` columns of the input, `O` of the output.
"""

import torch
from torch.nn.functional import grouped_mm, linear

_ALIGNMENT = 16
"""Bytes of which a row is to be a multiple for the GPU's kernel."""


def grouped_linear(
    input_NI: torch.Tensor,  # noqa: N803
    weight_EOI: torch.Tensor,  # noqa: N803
    tokens_E: torch.Tensor,  # noqa: N803
) -> torch.Tensor:
    """Return the product of each matrix with its tokens, `[N, O]`.

    Args:
        input_NI: Tokens, sorted by their matrix.
        weight_EOI: The matrices.
        tokens_E: How many tokens each matrix has, on any device.
    """
    if _fits_kernel(input_NI, weight_EOI):
        ends_E = tokens_E.to(input_NI.device).cumsum(0).to(torch.int32)  # noqa: N806
        return grouped_mm(input_NI, weight_EOI.transpose(1, 2), offs=ends_E)
    parts = torch.split(input_NI, tokens_E.tolist())
    return torch.cat(
        [linear(part, weight) for part, weight in zip(parts, weight_EOI.unbind(), strict=True)]
    )


def _fits_kernel(input_NI: torch.Tensor, weight_EOI: torch.Tensor) -> bool:  # noqa: N803
    """Return whether one kernel can compute it, instead of one for each matrix."""
    return (
        input_NI.is_cuda
        and input_NI.dtype == torch.bfloat16
        and len(input_NI) > 0
        and all(width * 2 % _ALIGNMENT == 0 for width in weight_EOI.shape[1:])
    )
