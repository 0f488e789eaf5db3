"""Copies of tokens in the order of their experts, and their sum for each token again.

Megatron-core's own functions for this, without Transformer Engine, add up copies with atomic
operations: slow, in another order each time, and in 16 bits. They also cut tokens into pieces by
expert and join them again where they are in order already.

Shapes: `T` tokens, `K` experts of each of them, `N` = `T` · `K` copies, `E` experts, `H` hidden
size.
"""

from dataclasses import dataclass
from typing import Any

import torch
from megatron.core.transformer.moe import token_dispatcher

from pretrain_workloads.trainer.kernels.devices import fused


@dataclass(frozen=True)
class Copies:
    """Which copies of which tokens there are."""

    token_N: torch.Tensor  # noqa: N815
    """The token of each copy."""
    copy_TK: torch.Tensor  # noqa: N815
    """The copies of each token."""


def patch() -> None:
    """Make Megatron-core's dispatcher use the functions of this module."""
    dispatcher: Any = token_dispatcher
    if dispatcher.permute is permute:
        return
    sort_chunks = dispatcher.sort_chunks_by_idxs

    def sort_if_needed(
        tokens: torch.Tensor,
        sizes: torch.Tensor,
        order: torch.Tensor,
        probs: torch.Tensor | None = None,
        fused: bool = False,
    ) -> Any:
        if torch.equal(order, torch.arange(len(order))):
            return tokens, probs
        return sort_chunks(tokens, sizes, order, probs=probs, fused=fused)

    dispatcher.permute, dispatcher.unpermute = permute, unpermute
    dispatcher.sort_chunks_by_idxs = sort_if_needed


def permute(
    tokens_TH: torch.Tensor,  # noqa: N803
    routing_map_TE: torch.Tensor,  # noqa: N803
    probs: torch.Tensor,
    num_out_tokens: int,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor, Copies, None, None]:
    """Return the copies sorted by expert, `[N, H]`, their probabilities, and where they are from.

    Args:
        tokens_TH: The tokens.
        routing_map_TE: Which experts each token has, the same number for all.
        probs: What the router gives each token and expert, `[T, E]`.
        num_out_tokens: `N`.
        options: Of kernels that are not used here.
    """
    del options
    tokens, experts = routing_map_TE.shape
    map_ET = routing_map_TE.t()  # noqa: N806
    # The copies are numbered by expert, then by token; what is no copy goes behind all of them.
    number_ET = map_ET.reshape(-1).cumsum(0).view(experts, tokens) - 1  # noqa: N806
    places = torch.where(map_ET, number_ET, num_out_tokens).reshape(-1)
    source_N = places.new_empty(num_out_tokens + 1)  # noqa: N806
    source_N.scatter_(0, places, torch.arange(experts * tokens, device=places.device))
    source_N = source_N[:-1]  # noqa: N806

    width = num_out_tokens // tokens
    columns_TE = torch.where(routing_map_TE, routing_map_TE.cumsum(1) - 1, width)  # noqa: N806
    copy_TK = places.new_empty(tokens, width + 1)  # noqa: N806
    copy_TK.scatter_(1, columns_TE, number_ET.t())

    copies = Copies(source_N % tokens, copy_TK[:, :-1].contiguous())
    probabilities_N = probs.t().reshape(-1).index_select(0, source_N)  # noqa: N806
    return _Spread.apply(tokens_TH, copies), probabilities_N, copies, None, None


def unpermute(
    copied_NH: torch.Tensor,  # noqa: N803
    copies: Copies,
    restore_shape: torch.Size,
    **options: Any,
) -> torch.Tensor:
    """Return the sum of the copies of each token, `[T, H]`."""
    del options
    total: torch.Tensor = _Collect.apply(copied_NH, copies)
    return total.view(restore_shape)


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, tokens_TH: torch.Tensor, copies: Copies) -> torch.Tensor:  # noqa: N803
        context.copies = copies
        return tokens_TH.index_select(0, copies.token_N)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _sum_copies(gradients[0], context.copies.copy_TK), None


class _Collect(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, copied_NH: torch.Tensor, copies: Copies) -> torch.Tensor:  # noqa: N803
        context.copies = copies
        return _sum_copies(copied_NH, copies.copy_TK)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0].index_select(0, context.copies.token_N), None


@fused
def _sum_copies(copied_NH: torch.Tensor, copy_TK: torch.Tensor) -> torch.Tensor:  # noqa: N803
    total_TH = copied_NH.new_zeros(len(copy_TK), copied_NH.shape[1], dtype=torch.float32)  # noqa: N806
    for copy_T in copy_TK.unbind(1):  # noqa: N806
        total_TH = total_TH + copied_NH[copy_T]  # noqa: N806
    return total_TH.to(copied_NH.dtype)
