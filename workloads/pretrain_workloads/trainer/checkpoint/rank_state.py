"""What a checkpoint holds of each rank: weights, optimizer states, random states."""

import random
from typing import Any

import numpy as np
import torch
from megatron.core.dist_checkpointing.mapping import ShardedObject
from megatron.core.tensor_parallel.random import get_cuda_rng_tracker

from pretrain_workloads.trainer.megatron.parallel_layout import ParallelLayout
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel
from pretrain_workloads.trainer.megatron.weights import CHECKPOINT_METADATA

_RANDOM = "random"
_OPTIMIZER = "optimizer"


def parallel_sizes(layout: ParallelLayout) -> list[int]:
    """Return the sizes that must be equal for random states to belong to the same ranks."""
    return [
        layout.world_size,
        layout.tensor_model_parallel_size,
        layout.pipeline_model_parallel_size,
        layout.virtual_pipeline_model_parallel_size or 1,
        layout.context_parallel_size,
        *(
            [layout.expert_model_parallel_size, layout.expert_tensor_parallel_size]
            if layout.model.experts
            else []
        ),
    ]


def model_sizes(layout: ParallelLayout) -> dict[str, int]:
    """Return the sizes that must be equal for a checkpoint to be one of the same model."""
    model, experts = layout.model, layout.model.experts
    return {
        "layers": model.layers,
        "hiddenSize": model.hidden_size,
        "ffnHiddenSize": model.ffn_hidden_size,
        "attentionHeads": model.attention_heads,
        "queryGroups": model.query_groups,
        "vocabularySize": layout.vocabulary_size,
        "tieEmbeddings": int(model.is_tied),
        **({"headDim": model.head_dim} if model.has_own_head_dim else {}),
        **({"qkvBias": 1} if model.has_qkv_bias else {}),
        **({"qkNorm": 1} if model.has_query_norm else {}),
        **(
            {
                "experts.count": experts.count,
                "experts.ffnHiddenSize": experts.ffn_hidden_size,
                "experts.sharedFfnHiddenSize": experts.shared_ffn_hidden_size,
                "experts.denseLayers": experts.dense_layers,
            }
            if experts
            else {}
        ),
    }


def sharded_state(
    model: ParallelModel, optimizer: Any, is_loading: bool, with_random: bool
) -> dict[str, Any]:
    """Return the states of this rank, each with its name and its slice of the whole."""
    weights = {
        _name(index): chunk.module.sharded_state_dict(metadata=CHECKPOINT_METADATA)
        for index, chunk in enumerate(model.chunks)
    }
    state = dict(weights)
    state[_OPTIMIZER] = optimizer.sharded_state_dict(
        weights, is_loading=is_loading, metadata=CHECKPOINT_METADATA
    )
    if with_random:
        groups = model.groups
        state[_RANDOM] = ShardedObject(
            _RANDOM, _random_states(), (groups.world_size,), (groups.rank,), replica_id=0
        )
    return state


def restore(model: ParallelModel, optimizer: Any, state: dict[str, Any]) -> None:
    """Load the states of this rank into the model, the optimizer and the random generators."""
    for index, chunk in enumerate(model.chunks):
        chunk.module.load_state_dict(state[_name(index)])
    optimizer.load_state_dict(state[_OPTIMIZER])
    restore_random_states(state)


def restore_random_states(state: dict[str, Any]) -> None:
    """Load the random states, if there are some of this kind of device."""
    states = state.get(_RANDOM)
    if states is None or states["device"].shape != torch.cuda.get_rng_state().shape:
        return
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    torch.cuda.set_rng_state(states["device"])
    get_cuda_rng_tracker().set_states(states["tracker"])


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
