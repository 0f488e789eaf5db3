"""The configuration of an exported model: Hugging Face's `config.json`."""

from typing import Any

from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.trainer.megatron.published_names import class_of


def configuration(
    model: ModelSpec,
    vocabulary_size: int,
    seq_length: int,
    precision: str,
    ends: tuple[int | None, int | None],
) -> dict[str, Any]:
    """Return the content of `config.json`.

    Args:
        model: Shape of the model.
        vocabulary_size: Ids that the model knows.
        seq_length: Longest sequence that it was trained on.
        precision: `fp32` or `bf16`.
        ends: Ids of the tokenizer for the start and the end of a document.
    """
    begin, end = ends
    kind, name = class_of(model)
    rope = rope_parameters(model)
    return {
        "architectures": [name],
        "model_type": kind,
        "vocab_size": vocabulary_size,
        "hidden_size": model.hidden_size,
        "intermediate_size": model.ffn_hidden_size,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.attention_heads,
        "num_key_value_heads": model.key_value_heads,
        "head_dim": model.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": _longest(model, seq_length),
        "rms_norm_eps": model.norm_epsilon,
        "rope_theta": rope["rope_theta"],  # read, with the scaling, by releases before 5
        **({"rope_scaling": rope} if model.rope_scaling else {}),
        "rope_parameters": rope,
        "tie_word_embeddings": model.tie_embeddings,
        "attention_bias": model.qkv_bias and kind == "glm4_moe",  # others imply it, or have none
        **({"mlp_bias": False} if kind == "llama" else {"use_sliding_window": False}),
        **_expert_fields(model),
        "initializer_range": model.init_std,
        "bos_token_id": begin,
        "eos_token_id": end,
        "dtype": "bfloat16" if precision == "bf16" else "float32",
    }


def _expert_fields(model: ModelSpec) -> dict[str, Any]:
    """Return the fields of a model with experts; each class has its own names for them."""
    experts = model.experts
    if experts is None:
        return {}
    fields: dict[str, Any] = {
        "num_experts_per_tok": experts.top_k,
        "router_aux_loss_coef": experts.auxiliary_loss,
        "output_router_logits": False,
    }
    match class_of(model)[0]:
        case "mixtral":
            names = {"num_local_experts": experts.count, "sliding_window": None}
            return fields | names | {"intermediate_size": experts.ffn_hidden_size}
        case "qwen3_moe":
            fields |= {
                "num_experts": experts.count,
                "mlp_only_layers": list(range(experts.dense_layers)),
                "decoder_sparse_step": 1,
            }
        case _:
            fields |= {
                "n_routed_experts": experts.count,
                "n_shared_experts": (experts.shared_ffn_hidden_size or 0)
                // experts.ffn_hidden_size,
                "first_k_dense_replace": experts.dense_layers,
                "routed_scaling_factor": experts.scaling_factor,
                "n_group": experts.groups or 1,
                "topk_group": experts.group_top_k or 1,
                "use_qk_norm": model.qk_norm,
                "partial_rotary_factor": 1.0,
                "num_nextn_predict_layers": 0,
            }
    return fields | {"norm_topk_prob": True, "moe_intermediate_size": experts.ffn_hidden_size}


def rope_parameters(model: ModelSpec) -> dict[str, Any]:
    """Return the rotary positions as `config.json` has them."""
    scaling = model.rope_scaling
    base: dict[str, Any] = {"rope_theta": float(model.rope_base)}
    if class_of(model)[0] == "glm4_moe":
        base["partial_rotary_factor"] = 1.0
    if scaling is None:
        return {"rope_type": "default", **base}
    parameters: dict[str, Any] = {"rope_type": scaling.type, **base, "factor": scaling.factor}
    if scaling.type == "llama3":
        parameters["low_freq_factor"] = scaling.low_frequency_factor
        parameters["high_freq_factor"] = scaling.high_frequency_factor
    if scaling.type == "yarn":
        parameters |= {"beta_fast": scaling.beta_fast, "beta_slow": scaling.beta_slow}
    if scaling.type != "linear":
        parameters["original_max_position_embeddings"] = scaling.original_sequence_length
    return parameters


def _longest(model: ModelSpec, seq_length: int) -> int:
    """Return the longest sequence that the positions are made for."""
    scaling = model.rope_scaling
    if scaling is None or scaling.original_sequence_length is None:
        return seq_length
    return max(seq_length, round(scaling.factor * scaling.original_sequence_length))
