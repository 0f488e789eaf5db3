"""Useful floating-point operations of a token: what model FLOPs utilisation (MFU) counts.

Recomputation is not counted: the utilisation is the model's, not the hardware's. Source: Narayanan
et al. (arXiv 2104.04473), appendix, with attention halved for the causal mask as in Megatron-LM
core_v0.19.0 `training/training.py`.
"""

from pretrain_api.formulas.model_shapes import ModelShape


def flops_per_token(model: ModelShape, seq_length: int) -> int:
    """Return the FLOPs that training one token takes, forward and backward.

    Six for each weight of a matrix, of which the output layer is one and the input embedding, a
    lookup, is none; and six for each query channel and position in attention, which sees half of
    the `seq_length` positions on average.
    """
    expert_layers = model.expert_layers(0, model.layers)
    multiplications = model.layers * _attention_multiplications(model)
    multiplications += (model.layers - expert_layers) * _ffn_multiplications(model)
    multiplications += expert_layers * _expert_multiplications(model)
    multiplications += model.hidden_size * model.padded_vocabulary_size
    scores = model.layers * model.query_width * seq_length
    return 6 * (multiplications + scores)


def _attention_multiplications(model: ModelShape) -> int:
    """Return the multiplications of one token in the four projections of a layer."""
    return model.hidden_size * (2 * model.query_width + 2 * model.key_width)


def _ffn_multiplications(model: ModelShape) -> int:
    """Return the multiplications of one token in a dense feed-forward layer."""
    return model.ffn_matrices * model.hidden_size * model.ffn_hidden_size


def _expert_multiplications(model: ModelShape) -> int:
    """Return the multiplications of one token in its experts, the shared one and the router."""
    experts = model.experts
    if experts is None:
        return 0
    width = experts.top_k * experts.ffn_hidden_size + experts.shared_ffn_hidden_size
    return model.hidden_size * (model.ffn_matrices * width + experts.count)
