"""Parameters of a model and of one device's share. Source: the shapes of Megatron-core's layers."""

from dataclasses import dataclass

from pretrain_operator.planner.estimates.setup import Layout, Model

VOCABULARY_DIVISOR = 128
"""Megatron-core pads the vocabulary to a multiple of this times the tensor-parallel size."""


@dataclass(frozen=True)
class Share:
    """Parameters on one device."""

    dense: int
    """Kept once for each data-parallel rank."""
    expert: int
    """Kept once for each expert-data-parallel rank."""

    @property
    def total(self) -> int:
        """Return all parameters of the device."""
        return self.dense + self.expert


def padded_vocabulary(vocabulary: int, tensor: int, divisor: int = VOCABULARY_DIVISOR) -> int:
    """Return the rows of the embedding. Source: Megatron-LM `training/vocab_utils.py`."""
    unit = divisor * tensor
    return -(-vocabulary // unit) * unit


def attention_parameters(model: Model, tensor: int = 1) -> int:
    """Return the parameters of one attention layer on one device; few groups are replicated."""
    key_width = max(model.groups, tensor) * model.head_dim
    columns = (model.query_width + 2 * key_width) // tensor
    rows = model.query_width // tensor
    biases = columns + model.hidden if model.has_biases else 0
    return model.hidden * (columns + rows) + biases + _norm_parameters(model)


def ffn_parameters(model: Model, width: int, tensor: int = 1) -> int:
    """Return the parameters of one dense feed-forward layer on one device."""
    share = width // tensor
    biases = share * (model.ffn_matrices - 1) + model.hidden if model.has_biases else 0
    return model.ffn_matrices * model.hidden * share + biases


def expert_parameters(model: Model, expert: int = 1, expert_tensor: int = 1) -> int:
    """Return the parameters of one layer's experts on one device, without router."""
    experts = model.experts
    if experts is None:
        return 0
    return experts.count // expert * ffn_parameters(model, experts.ffn, expert_tensor)


def share_of_stage(model: Model, layout: Layout, rank: int) -> Share:
    """Return the parameters of one device of a pipeline rank."""
    first = sum(layout.stages[:rank])
    layers = layout.stages[rank]
    dense, expert = _share_of_layers(model, layout, first, layers)
    table = model.vocabulary * model.hidden // layout.tensor
    if rank == 0:
        dense += table + model.learned_positions * model.hidden
    if rank == layout.pipeline - 1:
        has_own_output = not model.is_tied or layout.pipeline > 1
        dense += (table if has_own_output else 0) + model.hidden
    return Share(dense, expert)


def _share_of_layers(model: Model, layout: Layout, first: int, layers: int) -> tuple[int, int]:
    routed = model.routed_layers(first, layers)
    plain = layers - routed
    dense = layers * attention_parameters(model, layout.tensor) + plain * (
        ffn_parameters(model, model.ffn, layout.tensor)
    )
    if not routed or model.experts is None:
        return dense, 0
    router = model.hidden * model.experts.count
    shared = ffn_parameters(model, model.experts.shared_ffn, layout.tensor)
    one = expert_parameters(model, layout.expert, layout.expert_tensor)
    return dense + routed * (router + shared), routed * one


def total_parameters(model: Model, vocabulary: int | None = None) -> int:
    """Return the parameters of the model, with `vocabulary` rows instead of the padded ones."""
    whole = Layout(world=1, stages=(model.layers,))
    share = share_of_stage(model, whole, 0)
    rows = model.vocabulary - (vocabulary if vocabulary is not None else model.vocabulary)
    tables = 1 if model.is_tied else 2
    return share.total - rows * model.hidden * tables


def active_parameters(model: Model, vocabulary: int | None = None) -> int:
    """Return the parameters that one token uses."""
    experts = model.experts
    total = total_parameters(model, vocabulary)
    if experts is None:
        return total
    unused = (experts.count - experts.top_k) * ffn_parameters(model, experts.ffn)
    return total - model.routed_layers(0, model.layers) * unused


def _norm_parameters(model: Model) -> int:
    """Two norms a layer; those with biases have two vectors each."""
    return 2 * model.hidden * (2 if model.has_biases else 1)
