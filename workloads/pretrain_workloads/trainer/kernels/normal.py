"""Normal numbers by their place: any part of a tensor can be drawn alone, on its own device."""

import math

import torch

_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_GOLDEN = 0x9E3779B97F4A7C15
_CHUNK = 2**18
"""Numbers drawn at a time: their 64-bit states stay in a CPU's cache, and small on a GPU."""


def fill_normal(
    part: torch.Tensor,
    global_shape: tuple[int, ...],
    global_offset: tuple[int, ...],
    seed: int,
    deviation: float,
) -> None:
    """Fill `part`, which starts at `global_offset` of a tensor, with normal numbers of mean zero.

    Each number depends on the seed and on its place in the whole tensor alone: it is a hash of both
    (SplitMix64, Steele et al. 2014), made normal by Box and Muller (1958).
    """
    width = part.shape[-1]
    rows = part.view(-1, width)
    first = _row_starts(part.shape, global_shape, global_offset, part.device)
    columns = torch.arange(width, device=part.device)
    size = max(1, _CHUNK // width)
    for start in range(0, rows.shape[0], size):
        places = first[start : start + size, None] + columns
        rows[start : start + size].copy_(_normal(places, seed) * deviation)


def _row_starts(
    shape: torch.Size,
    global_shape: tuple[int, ...],
    global_offset: tuple[int, ...],
    device: torch.device,
) -> torch.Tensor:
    """Return the place in the whole tensor of the first number of each row of a part."""
    starts = torch.zeros(1, dtype=torch.int64, device=device)
    *outer, _ = zip(shape, global_shape, global_offset, strict=True)
    for size, whole, offset in outer:
        numbers = torch.arange(offset, offset + size, device=device)
        starts = (starts[:, None] * whole + numbers).reshape(-1)
    return starts * global_shape[-1] + global_offset[-1]


def _normal(places: torch.Tensor, seed: int) -> torch.Tensor:
    state = _hash(places * _signed(_GOLDEN) + _signed(_mixed(seed)))
    # 24 bits each, as many as a float holds; never zero, of which there is no logarithm.
    radius = _uniform((state >> 40) & 0xFFFFFF).log_().mul_(-2.0).sqrt_()
    angle = _uniform(state & 0xFFFFFF).mul_(2 * math.pi)
    return radius.mul_(angle.cos_())


def _uniform(bits: torch.Tensor) -> torch.Tensor:
    return bits.to(torch.float32).add_(0.5).mul_(2.0**-24)


def _hash(state: torch.Tensor) -> torch.Tensor:
    for shift, factor in _ROUNDS:
        state = (state ^ _shifted(state, shift)) * _signed(factor)
    return state ^ _shifted(state, 31)


def _shifted(state: torch.Tensor, bits: int) -> torch.Tensor:
    """Return `state` shifted to the right as an unsigned number."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)


def _mixed(seed: int) -> int:
    state = (seed + _GOLDEN) % 2**64
    for shift, factor in _ROUNDS:
        state = (state ^ (state >> shift)) * factor % 2**64
    return state ^ (state >> 31)


def _signed(value: int) -> int:
    """Return the 64-bit number with the same bits that torch's integers can hold."""
    return value - 2**64 if value >= 2**63 else value
