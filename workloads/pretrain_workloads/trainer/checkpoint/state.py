"""What a checkpoint holds of the ranks: weights, optimizer, random states."""

import random
from typing import Any

import numpy as np
import torch
from megatron.core.dist_checkpointing.mapping import ShardedObject
from megatron.core.tensor_parallel.random import get_cuda_rng_tracker

from pretrain_workloads.trainer.megatron.parallel_layout import Layout
from pretrain_workloads.trainer.megatron.process_groups import World
from pretrain_workloads.trainer.megatron.weights import CHECKPOINT_METADATA

_RANDOM = "random"
_OPTIMIZER = "optimizer"


def signature(layout: Layout) -> list[int]:
    """Return the parallel sizes under which random states belong to the same ranks."""
    return [
        layout.world_size,
        layout.tensor_model_parallel_size,
        layout.pipeline_model_parallel_size,
        layout.virtual_pipeline_model_parallel_size or 1,
        layout.context_parallel_size,
    ]


def describe(
    chunks: list[Any], optimizer: Any, world: World, is_loading: bool, with_random: bool
) -> dict[str, Any]:
    """Return the states of this rank, each with its name and place in the whole."""
    state = {
        _name(index): chunk.module.sharded_state_dict(metadata=CHECKPOINT_METADATA)
        for index, chunk in enumerate(chunks)
    }
    described = dict(state)
    described[_OPTIMIZER] = optimizer.sharded_state_dict(
        state, is_loading=is_loading, metadata=CHECKPOINT_METADATA
    )
    if with_random:
        described[_RANDOM] = ShardedObject(
            _RANDOM, _random_states(), (world.size,), (world.rank,), replica_id=0
        )
    return described


def restore(chunks: list[Any], optimizer: Any, state: dict[str, Any]) -> None:
    """Give the ranks the states that were loaded."""
    for index, chunk in enumerate(chunks):
        chunk.module.load_state_dict(state[_name(index)])
    optimizer.load_state_dict(state[_OPTIMIZER])
    if _RANDOM in state:
        _set_random_states(state[_RANDOM])


def _name(chunk: int) -> str:
    return f"model{chunk}"


def _random_states() -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "device": torch.cuda.get_rng_state(),
        "tracker": get_cuda_rng_tracker().get_states(),
    }


def _set_random_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    torch.cuda.set_rng_state(states["device"])
    get_cuda_rng_tracker().set_states(states["tracker"])
