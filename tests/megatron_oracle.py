"""Whether Megatron-core's own classes accept a spec, without devices, in a fake process group.

A refusal is a `raise` or an `assert` of Megatron-core itself. Any other exception is no refusal and
reaches the caller.
"""

import ast
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import megatron.core
import torch
from megatron.core import parallel_state
from megatron.core.models.gpt.moe_module_specs import get_moe_module_spec
from megatron.core.models.hybrid.hybrid_layer_allocation import select_pipeline_segment
from megatron.core.num_microbatches_calculator import ConstantNumMicroBatchesCalculator
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
from megatron.core.tensor_parallel.layers import ColumnParallelLinear, RowParallelLinear
from megatron.core.tensor_parallel.mappings import scatter_to_sequence_parallel_region
from megatron.core.transformer.attention import SelfAttention, SelfAttentionSubmodules
from megatron.core.transformer.identity_op import IdentityOp
from megatron.core.transformer.mlp import MLP, MLPSubmodules
from megatron.core.transformer.transformer_block import get_num_layers_to_build
from megatron.core.transformer.transformer_config import TransformerConfig
from torch.testing._internal.distributed.fake_pg import FakeStore

from pretrain_api.v1alpha1.parallelism import ParallelismSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec

UPSTREAM = Path(megatron.core.__path__[0])
STYLES = {"cosine": "cosine", "linear": "linear", "constant": "constant", "wsd": "WSD"}


REFUSALS = (AssertionError, ValueError, RuntimeError, NotImplementedError)
"""What Megatron-core raises on purpose; a division by zero within an `assert` is not."""


@dataclass(frozen=True)
class Refusal:
    """How Megatron-core refuses a spec."""

    files: frozenset[str]
    """Its files on the way to the refusal, from `core/` on."""
    message: str


class LayersLost(Exception):
    """Megatron-core accepts the spec and builds another number of layers."""


def refusal(spec: PretrainJobSpec) -> Refusal | None:
    """Return where Megatron-core refuses a spec, or nothing.

    Raises:
        LayersLost: If it accepts the spec and does not build all of its layers.
    """
    try:
        config = transformer_config(spec)
        _check_schedule(spec)
        with _world(spec.parallelism):
            _check_layers(spec, config)
            _build_layer(spec, config)
            _scatter(spec)
        _check_batch(spec)
    except REFUSALS as error:
        if not _is_on_purpose(error):
            raise
        return Refusal(_files(error), f"{type(error).__name__}: {error}")
    return None


def takes_cut(pattern: str) -> bool:
    """Return whether the model class that we use accepts a cut of its layers into 2 stages."""
    grid = {"nodes": 1, "gpusPerNode": 2, "pipeline": 2}
    with _world(ParallelismSpec.model_validate(grid)):
        group = parallel_state.get_pipeline_model_parallel_group()
        layers, _ = select_pipeline_segment(pattern, group, vp_stage=None)
    return "".join(layers) == pattern.split("|", maxsplit=1)[0]


def _is_on_purpose(error: Exception) -> bool:
    """Return whether a `raise` or `assert` statement of Megatron-core made the error."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    path = Path(last.filename)
    return path.is_relative_to(UPSTREAM) and last.lineno in _refusing_lines(path)


def _files(error: Exception) -> frozenset[str]:
    paths = (Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__))
    return frozenset(
        path.relative_to(UPSTREAM.parent).as_posix()
        for path in paths
        if path.is_relative_to(UPSTREAM)
    )


@cache
def _refusing_lines(path: Path) -> frozenset[int]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise | ast.Assert)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    )


def transformer_config(spec: PretrainJobSpec) -> TransformerConfig:
    """Return Megatron-core's configuration of a spec."""
    model, layout = spec.model, spec.parallelism
    return TransformerConfig(
        num_layers=model.layers,
        hidden_size=model.hidden_size,
        ffn_hidden_size=model.ffn_hidden_size,
        num_attention_heads=model.attention_heads,
        num_query_groups=model.key_value_heads,
        kv_channels=model.head_dim,
        tensor_model_parallel_size=layout.tensor,
        pipeline_model_parallel_size=layout.pipeline,
        virtual_pipeline_model_parallel_size=_chunks(layout),
        context_parallel_size=layout.context,
        expert_model_parallel_size=layout.expert,
        expert_tensor_parallel_size=layout.expert_tensor_size,
        sequence_parallel=layout.sequence,
        num_layers_in_first_pipeline_stage=layout.first_stage_layers,
        num_layers_in_last_pipeline_stage=layout.last_stage_layers,
        account_for_embedding_in_pipeline_split=layout.count_embedding,
        account_for_loss_in_pipeline_split=layout.count_loss,
        pipeline_model_parallel_layout=_stage_list(layout.stage_layers),
        pipeline_dtype=torch.float32,
        params_dtype=torch.float32,
        gated_linear_unit=True,
        add_bias_linear=False,
        normalization="RMSNorm",
        use_cpu_initialization=True,
        perform_initialization=False,
        **_experts(spec),
    )


def _experts(spec: PretrainJobSpec) -> dict[str, Any]:
    experts = spec.model.experts
    if experts is None:
        return {}
    return {
        "num_moe_experts": experts.count,
        "moe_router_topk": experts.top_k,
        "moe_ffn_hidden_size": experts.ffn_hidden_size,
        "moe_shared_expert_intermediate_size": experts.shared_ffn_hidden_size,
        "moe_router_num_groups": experts.groups,
        "moe_router_group_topk": experts.group_top_k,
        "moe_router_pre_softmax": True,
    }


def _chunks(layout: ParallelismSpec) -> int | None:
    virtual = layout.virtual_pipeline or 1
    return virtual if virtual > 1 else None


def _stage_list(layers: list[int] | None) -> list[list[str]] | None:
    """Return the stages in the form of Megatron-core: the names of their layers."""
    if layers is None:
        return None
    stages = [["decoder"] * count for count in layers]
    stages[0].insert(0, "embedding")
    stages[-1].append("loss")
    return stages


@contextmanager
def _world(layout: ParallelismSpec) -> Iterator[None]:
    size = layout.nodes * (layout.gpus_per_node or 1)
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=size)
    try:
        parallel_state.initialize_model_parallel(
            tensor_model_parallel_size=layout.tensor,
            pipeline_model_parallel_size=layout.pipeline,
            virtual_pipeline_model_parallel_size=_chunks(layout),
            context_parallel_size=layout.context,
            expert_model_parallel_size=layout.expert,
            expert_tensor_parallel_size=layout.expert_tensor_size,
            create_gloo_process_groups=False,
        )
        yield
    finally:
        parallel_state.destroy_model_parallel()
        torch.distributed.destroy_process_group()


def _check_layers(spec: PretrainJobSpec, config: TransformerConfig) -> None:
    virtual = config.virtual_pipeline_model_parallel_size
    built = 0
    for rank in range(spec.parallelism.pipeline):
        # A list of stages reads the rank from the process, not from its argument.
        parallel_state.set_pipeline_model_parallel_rank(rank)
        for chunk in range(virtual or 1):
            stage = chunk if virtual else None
            built += get_num_layers_to_build(config, vp_stage=stage, pp_rank=rank)
    if built != spec.model.layers:
        raise LayersLost(f"{built} of {spec.model.layers} layers are built")


def _build_layer(spec: PretrainJobSpec, config: TransformerConfig) -> None:
    """Build the two halves of a layer, which split their weights, on the meta device."""
    attention = SelfAttentionSubmodules(
        linear_qkv=ColumnParallelLinear, core_attention=IdentityOp, linear_proj=RowParallelLinear
    )
    halves = MLPSubmodules(linear_fc1=ColumnParallelLinear, linear_fc2=RowParallelLinear)
    with torch.device("meta"):
        SelfAttention(config, attention, layer_number=1)
        MLP(config, halves)
        if spec.model.experts is not None:
            mixture = get_moe_module_spec(
                use_te=False, num_experts=spec.model.experts.count, moe_grouped_gemm=False
            )
            mixture(config=config, layer_number=1)


def _scatter(spec: PretrainJobSpec) -> None:
    """Split a sequence as the first layer of a stage does."""
    if spec.parallelism.sequence:
        share = spec.training.sequence_length // spec.parallelism.context
        scatter_to_sequence_parallel_region(torch.empty(share, 1, 1, device="meta"))


def _check_batch(spec: PretrainJobSpec) -> None:
    layout, training = spec.parallelism, spec.training
    world = layout.nodes * (layout.gpus_per_node or 1)
    data = world // (layout.tensor * layout.pipeline * layout.context)
    ConstantNumMicroBatchesCalculator(
        training.global_batch_size, training.micro_batch_size, data, False, 0
    )


def _check_schedule(spec: PretrainJobSpec) -> None:
    training = spec.training
    rates, schedule = training.optimizer, training.schedule
    total = schedule.decay.tokens or training.tokens
    OptimizerParamScheduler(
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0),
        init_lr=0.0,
        max_lr=rates.learning_rate,
        min_lr=rates.min_learning_rate,
        lr_warmup_steps=schedule.warmup.tokens,
        lr_decay_steps=total,
        lr_decay_style=STYLES[schedule.decay.shape],
        start_wd=rates.weight_decay,
        end_wd=rates.weight_decay,
        wd_incr_steps=total,
        wd_incr_style="constant",
        wsd_decay_steps=1,
        lr_wsd_decay_style="linear",
    )
