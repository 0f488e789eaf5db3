"""The tensors of the model, as Hugging Face's class for it has them.

Rotary positions need no change: both sides rotate the two halves of a head.
"""

from collections.abc import Iterator

import torch

from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.trainer.megatron.published_names import (
    EMBEDDINGS,
    EXPERTS,
    FINAL_NORM,
    expert_names,
    parts_of,
)

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
            *(feed_forward + part for part in _feed_forward_parts(model, layer)),
        ]
    yield ["decoder.final_norm.weight"]
    if not model.tie_embeddings:
        yield ["output_layer.weight"]


def _feed_forward_parts(model: ModelSpec, layer: int) -> list[str]:
    experts = model.experts
    if experts is None or layer < experts.dense_layers:
        return [
            "mlp.linear_fc1.layer_norm_weight",
            "mlp.linear_fc1.weight",
            "mlp.linear_fc2.weight",
        ]
    shared = ["mlp.shared_experts.linear_fc1.weight", "mlp.shared_experts.linear_fc2.weight"]
    return [
        "pre_mlp_layernorm.weight",
        "mlp.router.weight",
        *(["mlp.router.expert_bias"] if experts.router == "sigmoid" else []),
        *(shared if experts.shared_ffn_hidden_size else []),
        f"{EXPERTS}1.weight",
        f"{EXPERTS}2.weight",
    ]


def converted(
    name: str, tensor: torch.Tensor, model: ModelSpec, vocabulary_size: int
) -> dict[str, torch.Tensor]:
    """Return what one of Megatron-core's tensors is in a Hugging Face folder.

    Rows of the embeddings beyond the vocabulary are dropped.
    """
    if name in EMBEDDINGS:
        return {EMBEDDINGS[name]: tensor[:vocabulary_size]}
    if name in FINAL_NORM:
        return {FINAL_NORM[name]: tensor}
    _, _, symbol, part = name.split(".", 3)
    names = parts_of(model)
    parts = {names[part]: tensor} if part in names else _divided(part, tensor, model)
    return {f"model.layers.{int(symbol) // 2}.{key}": value for key, value in parts.items()}


def _divided(part: str, tensor: torch.Tensor, model: ModelSpec) -> dict[str, torch.Tensor]:
    """Return the tensors that a joint projection consists of."""
    name, _, kind = part.rpartition(".")
    if name == "self_attention.linear_qkv":
        parts = _query_key_value(tensor, model)
    elif name.startswith(EXPERTS):
        parts = _experts(name, tensor, model)
    else:
        gate, up = tensor.chunk(2, dim=0)
        block = name.removesuffix(".linear_fc1")
        parts = {f"{block}.gate_proj": gate, f"{block}.up_proj": up}
    return {f"{key}.{kind}": value for key, value in parts.items()}


def _experts(name: str, tensor: torch.Tensor, model: ModelSpec) -> dict[str, torch.Tensor]:
    """Divide the weights of all experts, the first axis of `tensor`."""
    names = expert_names(model)
    parts = {}
    for number, weight in enumerate(tensor):
        expert = f"{names.experts}.{number}"
        if name == f"{EXPERTS}2":
            parts[f"{expert}.{names.down}"] = weight
            continue
        gate, up = weight.chunk(2, dim=0)
        parts |= {f"{expert}.{names.gate}": gate, f"{expert}.{names.up}": up}
    return parts


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
