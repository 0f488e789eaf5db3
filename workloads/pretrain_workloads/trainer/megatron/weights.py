"""Initial weights, and names in checkpoints, that do not depend on the parallel layout."""

import math
import zlib
from collections.abc import Iterator
from typing import Any

import torch
from megatron.core.dist_checkpointing.dict_utils import nested_values
from megatron.core.dist_checkpointing.mapping import ShardedTensor, apply_factories

from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.trainer.kernels.normal import fill_normal

CHECKPOINT_METADATA = {
    "distrib_optim_sharding_type": "fully_reshardable",
    "chained_optim_avoid_prefix": True,
    "singleton_local_shards": False,
}
"""Options for the names and slices of states in checkpoints, so that any layout can load them."""

_OUTPUT_PROJECTIONS = ("linear_proj.weight", "linear_fc2.weight")


@torch.no_grad()
def initialize(chunks: list[Any], model: ModelSpec, seed: int) -> None:
    """Draw the weights of this rank's part of the model; norms start at one, biases at zero.

    Each number depends on the seed, the tensor's name and its place in the whole tensor, so that
    every rank draws its own slice alone.
    """
    for tensor in sharded_tensors(chunks):
        if "norm" in tensor.key or tensor.key.endswith("bias"):
            tensor.data.fill_(1.0 if "norm" in tensor.key else 0.0)
            continue
        fill_normal(
            with_all_axes(tensor),
            tensor.global_shape,
            tensor.global_offset,
            seed + zlib.crc32(tensor.key.encode()),
            _deviation(tensor.key, model),
        )


def sharded_tensors(chunks: list[Any]) -> Iterator[ShardedTensor]:
    """Yield this rank's slices of the model's tensors, each with its name and its place."""
    for chunk in chunks:
        state = chunk.sharded_state_dict(metadata=CHECKPOINT_METADATA)
        apply_factories(state)
        yield from (t for t in nested_values(state) if isinstance(t, ShardedTensor))


def with_all_axes(tensor: ShardedTensor) -> torch.Tensor:
    """Return a view of a rank's slice that has the axes of the whole tensor.

    Weights of all experts are one tensor, of which the slice of one expert lacks the first axis.
    """
    data: torch.Tensor = tensor.data
    return data.view((1,) * tensor.prepend_axis_num + tuple(data.shape))


def _deviation(key: str, model: ModelSpec) -> float:
    """Return the standard deviation of a tensor's initial weights.

    Projections into the residual stream are smaller by the root of their number.
    Source: Radford et al. 2019 (GPT-2), section 2.3.
    """
    if key.endswith(_OUTPUT_PROJECTIONS):
        return model.init_std / math.sqrt(2 * model.layers)
    return model.init_std
