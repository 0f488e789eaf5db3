"""Useful arithmetic of a token: what model FLOPs utilisation counts.

Source: Megatron-LM core_v0.19.0 `training/training.py` (causal attention, recomputation and
padding not counted).
"""

from pretrain_operator.planner.estimates.setup import Model


def flops_per_token(model: Model, sequence: int, vocabulary: int | None = None) -> float:
    """Return the FLOPs of forward and backward pass for one token, in causal attention."""
    rows = vocabulary if vocabulary is not None else model.vocabulary
    products = model.hidden * rows
    for layer in range(model.layers):
        products += attention_products(model) + ffn_products(model, layer)
    scores = model.layers * model.query_width * sequence
    return 6.0 * (products + scores)


def attention_products(model: Model) -> int:
    """Return the multiplications of one token in the four projections of a layer."""
    return model.hidden * (2 * model.query_width + 2 * model.key_width)


def ffn_products(model: Model, layer: int) -> int:
    """Return the multiplications of one token in the feed-forward part of a layer."""
    if not model.has_experts(layer) or model.experts is None:
        return model.ffn_matrices * model.hidden * model.ffn
    experts = model.experts
    width = experts.top_k * experts.ffn + experts.shared_ffn
    return model.hidden * (model.ffn_matrices * width + experts.count)
