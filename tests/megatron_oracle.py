"""What Megatron-core's own classes say of a spec, without devices: a process group that is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.num_microbatches_calculator import ConstantNumMicroBatchesCalculator
from megatron.core.transformer.transformer_block import get_num_layers_to_build
from megatron.core.transformer.transformer_config import TransformerConfig
from megatron.core.utils import divide
from torch.testing._internal.distributed.fake_pg import FakeStore

from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec

REFUSALS = (AssertionError, ValueError, RuntimeError, NotImplementedError, ZeroDivisionError)


def refusal(spec: PretrainJobSpec) -> str | None:
    """Return why Megatron-core refuses a spec, or nothing."""
    try:
        config = transformer_config(spec)
        _check_grid(spec)
        _check_layers(spec, config)
        _check_shares(spec)
        _check_batch(spec)
    except REFUSALS as error:
        return f"{type(error).__name__}: {error}"
    return None


def transformer_config(spec: PretrainJobSpec) -> TransformerConfig:
    """Return Megatron-core's configuration of a spec."""
    model, layout = spec.model, spec.parallelism
    virtual = layout.virtual_pipeline
    options: dict[str, Any] = {}
    if model.experts is not None:
        experts = model.experts
        options = {
            "num_moe_experts": experts.count,
            "moe_router_topk": experts.top_k,
            "moe_ffn_hidden_size": experts.ffn_hidden_size,
            "moe_router_num_groups": experts.groups,
            "moe_router_group_topk": experts.group_top_k,
            "moe_router_pre_softmax": True,
        }
    return TransformerConfig(
        num_layers=model.layers,
        hidden_size=model.hidden_size,
        ffn_hidden_size=model.ffn_hidden_size,
        num_attention_heads=model.attention_heads,
        num_query_groups=model.key_value_heads,
        kv_channels=model.head_dim,
        tensor_model_parallel_size=layout.tensor,
        pipeline_model_parallel_size=layout.pipeline,
        virtual_pipeline_model_parallel_size=virtual if (virtual or 1) > 1 else None,
        context_parallel_size=layout.context,
        expert_model_parallel_size=layout.expert,
        expert_tensor_parallel_size=layout.expert_tensor_size,
        sequence_parallel=layout.sequence,
        num_layers_in_first_pipeline_stage=layout.first_stage_layers,
        num_layers_in_last_pipeline_stage=layout.last_stage_layers,
        account_for_embedding_in_pipeline_split=layout.count_embedding,
        account_for_loss_in_pipeline_split=layout.count_loss,
        pipeline_dtype=torch.float32,
        params_dtype=torch.float32,
        gated_linear_unit=True,
        add_bias_linear=False,
        normalization="RMSNorm",
        use_cpu_initialization=True,
        **options,
    )


def _check_grid(spec: PretrainJobSpec) -> None:
    layout = spec.parallelism
    with _world(layout.nodes * (layout.gpus_per_node or 1)):
        parallel_state.initialize_model_parallel(
            tensor_model_parallel_size=layout.tensor,
            pipeline_model_parallel_size=layout.pipeline,
            virtual_pipeline_model_parallel_size=(
                layout.virtual_pipeline if (layout.virtual_pipeline or 1) > 1 else None
            ),
            context_parallel_size=layout.context,
            expert_model_parallel_size=layout.expert,
            expert_tensor_parallel_size=layout.expert_tensor_size,
            create_gloo_process_groups=False,
        )


def _check_layers(spec: PretrainJobSpec, config: TransformerConfig) -> None:
    layout = spec.parallelism
    virtual = layout.virtual_pipeline if (layout.virtual_pipeline or 1) > 1 else None
    built = 0
    for rank in range(layout.pipeline):
        for chunk in range(virtual or 1):
            stage = chunk if virtual else None
            built += get_num_layers_to_build(config, vp_stage=stage, pp_rank=rank)
    assert built == spec.model.layers, f"{built} of {spec.model.layers} layers are built"


def _check_shares(spec: PretrainJobSpec) -> None:
    """What the parallel layers of Megatron-core divide when they are built."""
    model, tensor = spec.model, spec.parallelism.tensor
    divide(model.ffn_hidden_size, tensor)
    divide(model.attention_heads, model.key_value_heads)
    divide(model.head_width * model.attention_heads, tensor)
    if model.head_dim is None:
        divide(model.hidden_size, model.attention_heads)
    if model.experts is not None:
        divide(model.experts.count, spec.parallelism.expert)
        divide(model.experts.ffn_hidden_size, spec.parallelism.expert_tensor_size)
        divide(model.experts.shared_ffn_hidden_size or 0, tensor)


def _check_batch(spec: PretrainJobSpec) -> None:
    layout, training = spec.parallelism, spec.training
    world = layout.nodes * (layout.gpus_per_node or 1)
    data = world // (layout.tensor * layout.pipeline * layout.context)
    ConstantNumMicroBatchesCalculator(
        training.global_batch_size, training.micro_batch_size, data, False, 0
    )


@contextmanager
def _world(size: int) -> Iterator[None]:
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=size)
    try:
        yield
    finally:
        parallel_state.destroy_model_parallel()
        torch.distributed.destroy_process_group()
