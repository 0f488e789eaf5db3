"""Number of parameters of a model, and floating-point operations of a token."""

from pretrain_api.v1alpha1.model import ModelSpec


def parameters(model: ModelSpec, vocabulary_size: int) -> int:
    """Return the parameters of `model` with an embedding of `vocabulary_size` rows."""
    norms = model.layers * 2 * model.hidden_size + model.hidden_size
    embeddings = vocabulary_size * model.hidden_size * (1 if model.tie_embeddings else 2)
    return _matrices(model) + norms + embeddings


def flops_per_token(model: ModelSpec, vocabulary_size: int, seq_length: int) -> int:
    """Return the operations that training one token takes, forward and backward.

    Six for each weight of a matrix, of which the output projection is one and the input embedding,
    a lookup, is none; and `6 · layers · sequence · hidden` for attention, which sees half of the
    positions on average. Recomputation does not count: the utilisation is the model's, not the
    hardware's. Source: Narayanan et al. 2021 (arXiv 2104.04473), appendix, with attention halved
    for the causal mask as in Megatron-core's own report.
    """
    matrices = _matrices(model) + vocabulary_size * model.hidden_size
    return 6 * matrices + 6 * model.layers * seq_length * model.hidden_size


def _matrices(model: ModelSpec) -> int:
    head = model.hidden_size // model.attention_heads
    attention = 2 * model.hidden_size * (model.hidden_size + model.key_value_heads * head)
    return model.layers * (attention + 3 * model.hidden_size * model.ffn_hidden_size)
