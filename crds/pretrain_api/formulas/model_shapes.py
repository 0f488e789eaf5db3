"""The shape of a model: the numbers that parameters, FLOPs and memory follow from."""

from dataclasses import dataclass

from pretrain_api.formulas.vocabulary import padded_vocabulary_size
from pretrain_api.v1alpha1.model import ExpertsSpec, ModelSpec


@dataclass(frozen=True)
class ExpertsShape:
    """Feed-forward layers with a router and experts (mixture of experts)."""

    count: int
    """Experts of a layer."""
    top_k: int
    """Experts that each token is sent to."""
    ffn_hidden_size: int
    """Width of one expert."""
    shared_ffn_hidden_size: int = 0
    """Width of the expert that every token passes; 0 means there is none."""
    dense_layers: int = 0
    """First layers that have no experts."""


@dataclass(frozen=True)
class ModelShape:
    """A decoder. The defaults are those of a Llama model; our API cannot set all of them."""

    layers: int
    """Transformer layers, each attention and feed-forward."""
    hidden_size: int
    ffn_hidden_size: int
    attention_heads: int
    query_groups: int
    """Key-value heads."""
    head_dim: int
    padded_vocabulary_size: int
    """Rows of the embedding, padding included."""
    is_tied: bool = False
    """Whether the input and output embeddings are one matrix."""
    experts: ExpertsShape | None = None
    is_gated: bool = True
    """Whether the feed-forward layer is SwiGLU: three weight matrices instead of two."""
    has_biases: bool = False
    learned_positions: int = 0
    """Rows of a learned position embedding; 0 means rotary positions."""
    has_query_norm: bool = False
    """Whether each head's queries and keys are normalised."""
    has_qkv_bias: bool = False
    """Whether the projections to queries, keys and values alone have a bias."""
    hidden_dropout: bool = False
    attention_dropout: bool = False

    @property
    def has_own_head_dim(self) -> bool:
        """Return whether the width of a head does not follow from the hidden size."""
        return self.head_dim * self.attention_heads != self.hidden_size

    @property
    def query_width(self) -> int:
        """Return the width of all query heads."""
        return self.attention_heads * self.head_dim

    @property
    def key_width(self) -> int:
        """Return the width of all key heads; all value heads are as wide."""
        return self.query_groups * self.head_dim

    @property
    def ffn_matrices(self) -> int:
        """Return the weight matrices of a feed-forward layer."""
        return 3 if self.is_gated else 2

    def expert_layers(self, first: int, end: int) -> int:
        """Return how many of the layers from `first` up to, not including, `end` have experts."""
        if self.experts is None:
            return 0
        return max(0, end - max(first, self.experts.dense_layers))


def model_shape_of(spec: ModelSpec, vocabulary_size: int) -> ModelShape:
    """Return the shape of a model whose vocabulary has `vocabulary_size` ids, before padding."""
    return ModelShape(
        layers=spec.layers,
        hidden_size=spec.hidden_size,
        ffn_hidden_size=spec.ffn_hidden_size,
        attention_heads=spec.attention_heads,
        query_groups=spec.key_value_heads,
        head_dim=max(1, spec.head_width),
        padded_vocabulary_size=padded_vocabulary_size(vocabulary_size),
        is_tied=spec.tie_embeddings,
        has_query_norm=spec.qk_norm,
        has_qkv_bias=spec.qkv_bias,
        experts=None if spec.experts is None else _experts_shape_of(spec.experts),
    )


def _experts_shape_of(spec: ExpertsSpec) -> ExpertsShape:
    return ExpertsShape(
        spec.count,
        spec.top_k,
        spec.ffn_hidden_size,
        spec.shared_ffn_hidden_size or 0,
        spec.dense_layers,
    )
