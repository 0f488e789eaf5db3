"""Rotary positions: pairs of a head's numbers are turned by angles that grow with the position.

Source: Su et al. 2021 (RoFormer), section 3.4; as in Llama, the pairs are (d, d + D/2).
Shapes: `L` positions of this rank, `B` batch, `H` heads, `D` head dimension.
"""

import functools
from typing import Any

import torch

from pretrain_workloads.trainer.kernels.devices import fused
from pretrain_workloads.trainer.kernels.rotary_waves import RotaryWaves


@functools.lru_cache(maxsize=8)
def rotations(
    positions: tuple[range, ...],
    width: int,
    waves: RotaryWaves,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosine, `[L, 1, 1, D]`, and sine, `[L, 1, 1, D / 2]`, of each position's angles.

    They are computed once for all layers and steps.
    """
    inverse, scale = waves.frequencies(width)
    numbers = torch.tensor([number for part in positions for number in part], dtype=torch.float32)
    angles_LF = torch.outer(numbers, inverse)  # noqa: N806
    cosine, sine = angles_LF.cos().repeat(1, 2) * scale, angles_LF.sin() * scale
    return cosine[:, None, None].to(device, dtype), sine[:, None, None].to(device, dtype)


def rotate(
    heads_LBHD: torch.Tensor,  # noqa: N803
    cosine: torch.Tensor,
    sine: torch.Tensor,
) -> torch.Tensor:
    """Return the heads of all positions, turned by their angles."""
    return _Rotation.apply(heads_LBHD, cosine, sine)  # type: ignore[no-any-return]


class _Rotation(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        heads_LBHD: torch.Tensor,  # noqa: N803
        cosine: torch.Tensor,
        sine: torch.Tensor,
    ) -> torch.Tensor:
        context.save_for_backward(cosine, sine)
        return _turn(heads_LBHD, cosine, sine)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        cosine, sine = context.saved_tensors
        return _turn(gradients[0], cosine, -sine), None, None


@fused
def _turn(
    heads_LBHD: torch.Tensor,  # noqa: N803
    cosine: torch.Tensor,
    sine: torch.Tensor,
) -> torch.Tensor:
    first, second = heads_LBHD.chunk(2, dim=-1)
    turned = heads_LBHD * cosine
    turned_first, turned_second = turned.chunk(2, dim=-1)
    turned_first.addcmul_(second, sine, value=-1)
    turned_second.addcmul_(first, sine)
    return turned
