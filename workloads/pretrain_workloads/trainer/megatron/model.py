"""The only place that knows which class of Megatron-core the model is.

It is HybridModel: GPTModel is deprecated upstream, and both compute the same, bit for bit.
"""

from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.models.hybrid.hybrid_model import HybridModel
from megatron.core.transformer import TransformerConfig

from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_workloads.trainer.kernels.vocabulary_loss import cross_entropy, vocabulary_part
from pretrain_workloads.trainer.megatron.parallel_layout import ParallelLayout
from pretrain_workloads.trainer.megatron.stack import stack_spec
from pretrain_workloads.trainer.megatron.weights import initialize

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_RECOMPUTE: dict[str, dict[str, Any]] = {
    "none": {},
    # Of Megatron-core's own modules none: see kernels.recomputation.
    "selective": {"recompute_granularity": "selective", "recompute_modules": []},
    # Counted in symbols: two are one Llama layer.
    "full": {
        "recompute_granularity": "full",
        "recompute_method": "uniform",
        "recompute_num_layers": 2,
    },
}


class LlamaModel(HybridModel):  # type: ignore[misc]
    """Megatron-core's model with a loss over the ids alone, not over padding rows."""

    def __init__(self, *args: Any, vocabulary_size: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._vocabulary_size = vocabulary_size

    def compute_language_model_loss(
        self,
        labels: torch.Tensor,
        logits: torch.Tensor,
    ) -> torch.Tensor:
        """Return the loss of each label, `[B, L]`; `logits` are `[L, B, V]` of this rank's rows."""
        length, batch, rows = logits.shape
        part = vocabulary_part(rows, self._vocabulary_size, self.pg_collection.tp)
        losses = cross_entropy(logits.view(-1, rows), labels.t().reshape(-1), part)
        return losses.view(length, batch).t()


def model_config(spec: PretrainJobSpec, layout: ParallelLayout) -> TransformerConfig:
    """Return Megatron-core's configuration of the model and of its parallelism."""
    model, training = spec.model, spec.training
    dtype = _DTYPES[training.precision]
    interleaved = layout.virtual_pipeline_model_parallel_size is not None
    return TransformerConfig(
        num_layers=layout.symbols,
        is_hybrid_model=True,
        hidden_size=model.hidden_size,
        ffn_hidden_size=model.ffn_hidden_size,
        num_attention_heads=model.attention_heads,
        num_query_groups=model.key_value_heads,
        normalization="RMSNorm",
        layernorm_epsilon=model.norm_epsilon,
        kv_channels=model.head_width,
        add_bias_linear=False,
        add_qkv_bias=model.qkv_bias,
        qk_layernorm=model.qk_norm,
        gated_linear_unit=True,
        activation_func=torch.nn.functional.silu,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        init_method_std=model.init_std,
        use_cpu_initialization=True,
        perform_initialization=False,  # see weights.py
        params_dtype=dtype,
        pipeline_dtype=dtype,
        bf16=training.precision == "bf16",
        tensor_model_parallel_size=layout.tensor_model_parallel_size,
        pipeline_model_parallel_size=layout.pipeline_model_parallel_size,
        virtual_pipeline_model_parallel_size=layout.virtual_pipeline_model_parallel_size,
        context_parallel_size=layout.context_parallel_size,
        sequence_parallel=layout.sequence_parallel,
        # With the defaults, an interleaved pipeline of two stages trains on wrong numbers.
        overlap_p2p_comm=interleaved,
        batch_p2p_comm=not interleaved,
        # Megatron-core compiles the parts of SwiGLU; a CPU computes them faster one by one.
        bias_activation_fusion=torch.cuda.is_available(),
        gradient_accumulation_fusion=True,  # see kernels.weight_gradients
        # Fused kernels of Apex and Transformer Engine, which the image does not have.
        masked_softmax_fusion=False,
        persist_layer_norm=False,
        bias_dropout_fusion=False,
        apply_rope_fusion=False,
        **_RECOMPUTE[training.recompute],
        **_expert_settings(spec, layout),
    )


def _expert_settings(spec: PretrainJobSpec, layout: ParallelLayout) -> dict[str, Any]:
    """Return the configuration of the experts: none of their tokens is ever dropped."""
    experts = spec.model.experts
    if experts is None:
        return {}
    has_bias = experts.router == "sigmoid"
    return {
        "num_moe_experts": experts.count,
        "moe_router_topk": experts.top_k,
        "moe_ffn_hidden_size": experts.ffn_hidden_size,
        "moe_shared_expert_intermediate_size": experts.shared_ffn_hidden_size,
        "moe_router_num_groups": experts.groups,
        "moe_router_group_topk": experts.group_top_k,
        "moe_router_score_function": experts.router,
        "moe_router_topk_scaling_factor": experts.scaling_factor,
        "moe_router_enable_expert_bias": has_bias,
        "moe_router_bias_update_rate": experts.bias_update_rate,
        # Over each sequence: a loss over micro-batches would depend on their size.
        "moe_router_load_balancing_type": "seq_aux_loss" if experts.auxiliary_loss else "none",
        "moe_aux_loss_coeff": experts.auxiliary_loss,
        "moe_z_loss_coeff": experts.z_loss or None,
        "moe_router_dtype": "fp32",
        "moe_token_dispatcher_type": "alltoall",
        "expert_model_parallel_size": layout.expert_model_parallel_size,
        "expert_tensor_parallel_size": layout.expert_tensor_parallel_size,
    }


def build_model(
    spec: PretrainJobSpec,
    layout: ParallelLayout,
    config: TransformerConfig,
    draws_weights: bool = True,
) -> list[LlamaModel]:
    """Return this rank's chunks of the model, one for each of its virtual pipeline stages.

    Args:
        spec: The run.
        layout: Its sizes.
        config: Megatron-core's configuration.
        draws_weights: Whether to draw initial weights; not if a checkpoint will overwrite them.
    """
    virtual = layout.virtual_pipeline_model_parallel_size
    stages: list[dict[str, int]] = [{"vp_stage": n} for n in range(virtual)] if virtual else [{}]
    chunks = [_build_chunk(spec.model, layout, config, stage) for stage in stages]
    _check_layers(chunks, layout)
    if torch.cuda.is_available():
        chunks = [chunk.cuda() for chunk in chunks]
    if draws_weights:
        initialize(chunks, spec.model, spec.training.seed)
    return chunks


def _build_chunk(
    model: ModelSpec, layout: ParallelLayout, config: TransformerConfig, stage: dict[str, int]
) -> LlamaModel:
    return LlamaModel(
        config,
        stack_spec(model),
        vocabulary_size=layout.vocabulary_size,
        vocab_size=layout.padded_vocabulary_size,
        max_sequence_length=layout.seq_length,
        hybrid_layer_pattern=layout.pattern,
        position_embedding_type="none",  # see kernels.attention
        share_embeddings_and_output_weights=model.tie_embeddings,
        parallel_output=True,
        pre_process=parallel_state.is_pipeline_first_stage(ignore_virtual=False, **stage),
        post_process=parallel_state.is_pipeline_last_stage(ignore_virtual=False, **stage),
        **stage,
    )


def _check_layers(chunks: list[LlamaModel], layout: ParallelLayout) -> None:
    """Check that all stages together hold every layer: Megatron-core may build fewer silently."""
    built = torch.tensor([sum(len(chunk.decoder.layers) for chunk in chunks)])
    if torch.cuda.is_available():
        built = built.cuda()
    torch.distributed.all_reduce(built, group=parallel_state.get_pipeline_model_parallel_group())
    if int(built) != layout.symbols:
        raise RuntimeError(
            f"the pipeline holds {int(built)} half layers of {layout.symbols}: "
            f"the pattern {layout.pattern!r} does not fit it"
        )
