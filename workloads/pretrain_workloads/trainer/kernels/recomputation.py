"""Tensors that the backward pass computes again, because that costs less than to keep them.

`selective` recomputation forgets what a norm or SwiGLU hands to a matrix product: a third of what a
layer keeps, for a few hundredths of its time. What they are computed from is kept anyway.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from megatron.core.fusions.fused_bias_swiglu import bias_swiglu_impl
from megatron.core.tensor_parallel import ColumnParallelLinear
from megatron.core.transformer.mlp import MLP
from torch.nn.functional import silu

type Recipe = Callable[[], torch.Tensor]
"""Computes a tensor again."""

_RECIPE = "recipe"


def forget(tensor: torch.Tensor, recipe: Recipe, product: torch.Tensor) -> None:
    """Free the memory of `tensor` until the backward pass comes to `product`, made from it.

    Autograd keeps the tensor but none of its values. Nothing else may use them from here on.
    """
    if not product.requires_grad:
        return
    storage = tensor.untyped_storage()
    size = storage.nbytes()
    storage.resize_(0)

    def restore(_: torch.Tensor) -> None:
        storage.resize_(size)
        with torch.no_grad():
            tensor.data.copy_(recipe())  # `data`, as autograd is not to see a change

    product.register_hook(restore)  # type: ignore[no-untyped-call]


def with_recipe(tensor: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return `tensor`, which a `ForgetfulLinear` need not keep then."""
    setattr(tensor, _RECIPE, recipe)
    return tensor


def is_selective(config: Any) -> bool:
    """Return whether a model forgets what is cheap to compute again."""
    return bool(config.recompute_granularity == "selective")


class ForgetfulLinear(ColumnParallelLinear):  # type: ignore[misc]
    """A matrix product that does not keep its input if there is a recipe for it."""

    def forward(self, input_: torch.Tensor, *args: Any, **options: Any) -> Any:
        """Return the product, and its bias."""
        output = super().forward(input_, *args, **options)
        recipe: Recipe | None = getattr(input_, _RECIPE, None)
        if recipe is not None:
            forget(input_, recipe, output[0])
        return output


class FeedForward(MLP):  # type: ignore[misc]
    """A SwiGLU layer; with selective recomputation it does not keep what it computes between."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        per_token_scale: torch.Tensor | None = None,
        **options: Any,
    ) -> Any:
        """Return the layer's output, and that there is no bias."""
        if not is_selective(self.config):
            return super().forward(hidden_states, per_token_scale, **options)
        gates, _ = self.linear_fc1(hidden_states)
        recipe = partial(_swiglu, gates, is_fused=self.config.bias_activation_fusion)
        inner = recipe()
        output = self.linear_fc2(inner)
        forget(inner, recipe, output[0])
        return output


def _swiglu(gates: torch.Tensor, is_fused: bool) -> torch.Tensor:
    if is_fused:
        return bias_swiglu_impl(gates, None)  # type: ignore[no-any-return]
    gate, other = gates.chunk(2, dim=-1)
    return silu(gate) * other
