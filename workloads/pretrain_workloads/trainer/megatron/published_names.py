"""Names of the model's tensors in a Hugging Face folder.

Missing here are the joint projections, which are several tensors there: `linear_qkv`, `linear_fc1`.
"""

from dataclasses import dataclass

from pretrain_api.v1alpha1.model import ModelSpec

EMBEDDINGS = {
    "embedding.word_embeddings.weight": "model.embed_tokens.weight",
    "output_layer.weight": "lm_head.weight",
}
"""One row for each id."""

FINAL_NORM = {"decoder.final_norm.weight": "model.norm.weight"}

_PARTS = {
    "self_attention.linear_qkv.layer_norm_weight": "input_layernorm.weight",
    "self_attention.q_layernorm.weight": "self_attn.q_norm.weight",
    "self_attention.k_layernorm.weight": "self_attn.k_norm.weight",
    "self_attention.linear_proj.weight": "self_attn.o_proj.weight",
    "mlp.linear_fc1.layer_norm_weight": "post_attention_layernorm.weight",
    "mlp.linear_fc2.weight": "mlp.down_proj.weight",
    "pre_mlp_layernorm.weight": "post_attention_layernorm.weight",
    "mlp.router.expert_bias": "mlp.gate.e_score_correction_bias",
    "mlp.shared_experts.linear_fc2.weight": "mlp.shared_experts.down_proj.weight",
}

EXPERTS = "mlp.experts.experts.linear_fc"
"""Start of the names of the experts' weights, which have an axis for the number of the expert."""


@dataclass(frozen=True)
class ExpertNames:
    """Names of a layer's router and experts."""

    router: str
    experts: str
    """Start of the names of an expert's weights, before its number."""
    gate: str
    up: str
    down: str


_MIXTRAL = ExpertNames("block_sparse_moe.gate.weight", "block_sparse_moe.experts", "w1", "w3", "w2")
_OTHERS = ExpertNames("mlp.gate.weight", "mlp.experts", "gate_proj", "up_proj", "down_proj")


def parts_of(model: ModelSpec) -> dict[str, str]:
    """Return the names of a layer's tensors, after the number of the layer."""
    return {**_PARTS, "mlp.router.weight": expert_names(model).router}


def expert_names(model: ModelSpec) -> ExpertNames:
    """Return how the class that a model is exported as names its experts."""
    return _MIXTRAL if class_of(model)[0] == "mixtral" else _OTHERS


def class_of(model: ModelSpec) -> tuple[str, str]:
    """Return Hugging Face's `model_type` and class of a model."""
    if model.experts is not None:
        if model.experts.router == "sigmoid":
            return "glm4_moe", "Glm4MoeForCausalLM"
        if model.qk_norm:
            return "qwen3_moe", "Qwen3MoeForCausalLM"
        return "mixtral", "MixtralForCausalLM"
    if model.qk_norm:
        return "qwen3", "Qwen3ForCausalLM"
    if model.qkv_bias:
        return "qwen2", "Qwen2ForCausalLM"
    return "llama", "LlamaForCausalLM"
