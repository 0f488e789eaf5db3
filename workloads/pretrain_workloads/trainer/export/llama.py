"""The model as a Hugging Face Llama, Qwen2 or Qwen3: its tensors, and its configuration.

Rotary positions need no change: both sides rotate the two halves of a head.
"""

from collections.abc import Iterator
from typing import Any

import torch

from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.trainer.megatron.published_names import EMBEDDINGS, FINAL_NORM, PARTS

_HEAD_NORMS = ("q_layernorm.weight", "k_layernorm.weight")


def tensor_groups(model: ModelSpec) -> Iterator[list[str]]:
    """Yield the names of Megatron-core's tensors that are read together: one layer at a time."""
    yield ["embedding.word_embeddings.weight"]
    for layer in range(model.layers):
        attention, feed_forward = f"decoder.layers.{2 * layer}.", f"decoder.layers.{2 * layer + 1}."
        yield [
            attention + "self_attention.linear_qkv.layer_norm_weight",
            attention + "self_attention.linear_qkv.weight",
            *([attention + "self_attention.linear_qkv.bias"] if model.qkv_bias else []),
            *(attention + f"self_attention.{name}" for name in _HEAD_NORMS if model.qk_norm),
            attention + "self_attention.linear_proj.weight",
            feed_forward + "mlp.linear_fc1.layer_norm_weight",
            feed_forward + "mlp.linear_fc1.weight",
            feed_forward + "mlp.linear_fc2.weight",
        ]
    yield ["decoder.final_norm.weight"]
    if not model.tie_embeddings:
        yield ["output_layer.weight"]


def converted(
    name: str, tensor: torch.Tensor, model: ModelSpec, vocabulary_size: int
) -> dict[str, torch.Tensor]:
    """Return what one of Megatron-core's tensors is in a Hugging Face Llama.

    Rows of the embeddings beyond the vocabulary are dropped.
    """
    if name in EMBEDDINGS:
        return {EMBEDDINGS[name]: tensor[:vocabulary_size]}
    if name in FINAL_NORM:
        return {FINAL_NORM[name]: tensor}
    _, _, symbol, part = name.split(".", 3)
    parts = {PARTS[part]: tensor} if part in PARTS else _divided(part, tensor, model)
    return {f"model.layers.{int(symbol) // 2}.{key}": value for key, value in parts.items()}


def _divided(part: str, tensor: torch.Tensor, model: ModelSpec) -> dict[str, torch.Tensor]:
    """Return the tensors that a joint projection consists of."""
    name, _, kind = part.rpartition(".")
    if name == "self_attention.linear_qkv":
        parts = _query_key_value(tensor, model)
    else:
        gate, up = tensor.chunk(2, dim=0)
        parts = {"mlp.gate_proj": gate, "mlp.up_proj": up}
    return {f"{key}.{kind}": value for key, value in parts.items()}


def _query_key_value(tensor: torch.Tensor, model: ModelSpec) -> dict[str, torch.Tensor]:
    """Divide the joint projection, or its bias: for each group its query heads, a key, a value."""
    groups = model.key_value_heads
    queries, head = model.attention_heads // groups, model.head_width
    by_group = tensor.view(groups, (queries + 2) * head, *tensor.shape[1:])
    query, key, value = torch.split(by_group, [queries * head, head, head], dim=1)
    return {
        "self_attn.q_proj": query.flatten(0, 1),
        "self_attn.k_proj": key.flatten(0, 1),
        "self_attn.v_proj": value.flatten(0, 1),
    }


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
    kind, name = _class_of(model)
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
        "attention_bias": False,
        **({"mlp_bias": False} if kind == "llama" else {"use_sliding_window": False}),
        "initializer_range": model.init_std,
        "bos_token_id": begin,
        "eos_token_id": end,
        "dtype": "bfloat16" if precision == "bf16" else "float32",
    }


def rope_parameters(model: ModelSpec) -> dict[str, Any]:
    """Return the rotary positions as `config.json` has them."""
    scaling, base = model.rope_scaling, {"rope_theta": float(model.rope_base)}
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


def _class_of(model: ModelSpec) -> tuple[str, str]:
    """Return Hugging Face's `model_type` and class of a model."""
    if model.qk_norm:
        return "qwen3", "Qwen3ForCausalLM"
    if model.qkv_bias:
        return "qwen2", "Qwen2ForCausalLM"
    return "llama", "LlamaForCausalLM"


def _longest(model: ModelSpec, seq_length: int) -> int:
    """Return the longest sequence that the positions are made for."""
    scaling = model.rope_scaling
    if scaling is None or scaling.original_sequence_length is None:
        return seq_length
    return max(seq_length, round(scaling.factor * scaling.original_sequence_length))
