"""The layers of the model: Megatron-core's halves of a Llama layer, with our norm and attention.

Upstream's stack needs Transformer Engine. This one does not, and its tensors have the same names in
a checkpoint.
"""

from functools import partial
from typing import Any

from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_submodules
from megatron.core.models.gpt.moe_module_specs import get_moe_module_spec
from megatron.core.models.hybrid.hybrid_block import HybridStack, HybridStackSubmodules
from megatron.core.tensor_parallel import RowParallelLinear
from megatron.core.transformer.mlp import MLPSubmodules
from megatron.core.transformer.spec_utils import ModuleSpec
from megatron.core.transformer.transformer_layer import (
    TransformerLayer,
    TransformerLayerSubmodules,
)

from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.trainer.kernels.attention import CausalAttention
from pretrain_workloads.trainer.kernels.experts import GroupedExperts
from pretrain_workloads.trainer.kernels.norm import HeadNorm, SequenceParallelNorm
from pretrain_workloads.trainer.kernels.recomputation import FeedForward, ForgetfulLinear
from pretrain_workloads.trainer.kernels.rotary_waves import RotaryWaves


class LlamaStack(HybridStack):  # type: ignore[misc]
    """A stack whose final norm does not need Transformer Engine."""

    def __init__(
        self,
        config: Any,
        submodules: HybridStackSubmodules,
        *args: Any,
        post_layer_norm: bool = True,
        post_process: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(
            config,
            submodules,
            *args,
            post_layer_norm=False,
            post_process=post_process,
            **options,
        )
        self.post_layer_norm = post_layer_norm
        if post_process and post_layer_norm:
            self.final_norm = SequenceParallelNorm(
                config, config.hidden_size, config.layernorm_epsilon
            )


def stack_spec(model: ModelSpec) -> ModuleSpec:
    """Return what the symbols `*` (attention), `-` (feed-forward) and `E` (feed-forward with
    experts) of a pattern build.
    """
    parts = get_gpt_layer_local_submodules(normalization="RMSNorm")
    inside = parts.self_attention.submodules
    inside.linear_qkv = ForgetfulLinear
    inside.core_attention = ModuleSpec(CausalAttention, params={"waves": RotaryWaves.of(model)})
    if model.qk_norm:
        inside.q_layernorm = inside.k_layernorm = HeadNorm
    attention = TransformerLayerSubmodules(
        input_layernorm=SequenceParallelNorm,
        self_attention=parts.self_attention,
        self_attn_bda=parts.self_attn_bda,
        sharded_state_dict_keys_map={"input_layernorm.": "self_attention.linear_qkv.layer_norm_"},
    )
    matrices = MLPSubmodules(linear_fc1=ForgetfulLinear, linear_fc2=RowParallelLinear)
    feed_forward = TransformerLayerSubmodules(
        pre_mlp_layernorm=SequenceParallelNorm,
        mlp=partial(FeedForward.as_mlp_submodule, submodules=matrices),
        mlp_bda=parts.mlp_bda,
        sharded_state_dict_keys_map={"pre_mlp_layernorm.": "mlp.linear_fc1.layer_norm_"},
    )
    layers = {
        "attention_layer": ModuleSpec(TransformerLayer, submodules=attention),
        "mlp_layer": ModuleSpec(TransformerLayer, submodules=feed_forward),
    }
    if model.experts is not None:
        mixture = get_moe_module_spec(use_te=False, num_experts=model.experts.count)
        mixture.keywords["submodules"].experts = GroupedExperts
        experts = TransformerLayerSubmodules(
            pre_mlp_layernorm=SequenceParallelNorm, mlp=mixture, mlp_bda=parts.mlp_bda
        )
        layers["moe_layer"] = ModuleSpec(TransformerLayer, submodules=experts)
    return ModuleSpec(LlamaStack, submodules=HybridStackSubmodules(**layers))
