"""The model as a Hugging Face Llama: names and shapes of its tensors, and its configuration.

Rotary positions need no change: both sides rotate the two halves of a head.
"""

from collections.abc import Iterator
from typing import Any

import torch

from pretrain_api.v1alpha1.model import ModelSpec


def tensor_groups(model: ModelSpec) -> Iterator[list[str]]:
    """Yield the names of Megatron-core's tensors that are read together: one layer at a time."""
    yield ["embedding.word_embeddings.weight"]
    for layer in range(model.layers):
        attention, feed_forward = f"decoder.layers.{2 * layer}.", f"decoder.layers.{2 * layer + 1}."
        yield [
            attention + "self_attention.linear_qkv.layer_norm_weight",
            attention + "self_attention.linear_qkv.weight",
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
    match name:
        case "embedding.word_embeddings.weight":
            return {"model.embed_tokens.weight": tensor[:vocabulary_size]}
        case "output_layer.weight":
            return {"lm_head.weight": tensor[:vocabulary_size]}
        case "decoder.final_norm.weight":
            return {"model.norm.weight": tensor}
    _, _, symbol, part = name.split(".", 3)
    prefix = f"model.layers.{int(symbol) // 2}."
    match part:
        case "self_attention.linear_qkv.layer_norm_weight":
            parts = {"input_layernorm": tensor}
        case "self_attention.linear_qkv.weight":
            parts = _query_key_value(tensor, model)
        case "self_attention.linear_proj.weight":
            parts = {"self_attn.o_proj": tensor}
        case "mlp.linear_fc1.layer_norm_weight":
            parts = {"post_attention_layernorm": tensor}
        case "mlp.linear_fc1.weight":
            gate, up = tensor.chunk(2, dim=0)
            parts = {"mlp.gate_proj": gate, "mlp.up_proj": up}
        case "mlp.linear_fc2.weight":
            parts = {"mlp.down_proj": tensor}
        case _:
            raise ValueError(f"{name}: has no place in a Hugging Face Llama")
    return {f"{prefix}{key}.weight": value for key, value in parts.items()}


def _query_key_value(tensor: torch.Tensor, model: ModelSpec) -> dict[str, torch.Tensor]:
    """Divide the joint projection: for each group its query heads, a key head, a value head."""
    groups, hidden = model.key_value_heads, model.hidden_size
    queries, head = model.attention_heads // groups, model.head_width
    by_group = tensor.view(groups, (queries + 2) * head, hidden)
    query, key, value = torch.split(by_group, [queries * head, head, head], dim=1)
    return {
        "self_attn.q_proj": query.reshape(-1, hidden),
        "self_attn.k_proj": key.reshape(-1, hidden),
        "self_attn.v_proj": value.reshape(-1, hidden),
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
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary_size,
        "hidden_size": model.hidden_size,
        "intermediate_size": model.ffn_hidden_size,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.attention_heads,
        "num_key_value_heads": model.key_value_heads,
        "head_dim": model.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": seq_length,
        "rms_norm_eps": model.norm_epsilon,
        "rope_theta": float(model.rope_base),  # read by releases before 5
        "rope_parameters": {"rope_type": "default", "rope_theta": float(model.rope_base)},
        "tie_word_embeddings": model.tie_embeddings,
        "attention_bias": False,
        "mlp_bias": False,
        "initializer_range": model.init_std,
        "bos_token_id": begin,
        "eos_token_id": end,
        "dtype": "bfloat16" if precision == "bf16" else "float32",
    }
