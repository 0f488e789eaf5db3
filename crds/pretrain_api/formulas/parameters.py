"""How many parameters a model has, and a device's share of one layer.

Source: the weight shapes of Megatron-core's layers, core_v0.19.0 `core/transformer/`.
"""

from pretrain_api.formulas.model_shapes import ModelShape


def total_parameters(model: ModelShape, vocabulary_size: int | None = None) -> int:
    """Return the parameters of the model.

    The embedding counts with `vocabulary_size` rows; by default with all rows, padding included.
    """
    expert_layers = model.expert_layers(0, model.layers)
    dense_layers = model.layers - expert_layers
    layers = model.layers * attention_parameters(model)
    layers += dense_layers * ffn_parameters(model, model.ffn_hidden_size)
    layers += expert_layers * (router_parameters(model) + expert_parameters(model))
    rows = model.padded_vocabulary_size if vocabulary_size is None else vocabulary_size
    tables = rows * (1 if model.is_tied else 2) + model.learned_positions
    final_norm = model.hidden_size
    return layers + tables * model.hidden_size + final_norm


def active_parameters(model: ModelShape, vocabulary_size: int | None = None) -> int:
    """Return the parameters that one token uses: all but the experts that it is not sent to."""
    experts = model.experts
    total = total_parameters(model, vocabulary_size)
    if experts is None:
        return total
    unused = (experts.count - experts.top_k) * ffn_parameters(model, experts.ffn_hidden_size)
    return total - model.expert_layers(0, model.layers) * unused


def attention_parameters(model: ModelShape, tensor: int = 1) -> int:
    """Return the parameters of an attention layer, and of the layer's two norms, on one device.

    With fewer key-value heads than tensor-parallel ranks, each rank holds a whole one.
    """
    key_width = max(model.query_groups, tensor) * model.head_dim
    columns = (model.query_width + 2 * key_width) // tensor
    rows = model.query_width // tensor
    biases = columns + model.hidden_size if model.has_biases else columns * model.has_qkv_bias
    head_norms = 2 * model.head_dim * model.has_query_norm
    return model.hidden_size * (columns + rows) + biases + head_norms + _norm_parameters(model)


def ffn_parameters(model: ModelShape, width: int, tensor: int = 1) -> int:
    """Return the parameters of a dense feed-forward layer of `width` on one device."""
    share = width // tensor
    biases = share * (model.ffn_matrices - 1) + model.hidden_size if model.has_biases else 0
    return model.ffn_matrices * model.hidden_size * share + biases


def router_parameters(model: ModelShape, tensor: int = 1) -> int:
    """Return the parameters of one layer's router and shared expert on one device."""
    experts = model.experts
    if experts is None:
        return 0
    router = model.hidden_size * experts.count
    return router + ffn_parameters(model, experts.shared_ffn_hidden_size, tensor)


def expert_parameters(model: ModelShape, expert: int = 1, expert_tensor: int = 1) -> int:
    """Return the parameters of one layer's experts on one device, without router."""
    experts = model.experts
    if experts is None:
        return 0
    width = experts.ffn_hidden_size
    return experts.count // expert * ffn_parameters(model, width, expert_tensor)


def _norm_parameters(model: ModelShape) -> int:
    """Return the parameters of two norms; with biases each has two vectors."""
    return 2 * model.hidden_size * (2 if model.has_biases else 1)
