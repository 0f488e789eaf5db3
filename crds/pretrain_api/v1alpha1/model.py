"""The shape of a Llama-like model."""

from typing import Annotated

from pydantic import Field

from pretrain_api.meta import ApiModel

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


class ModelSpec(ApiModel):
    """A decoder of the Llama family: RMSNorm, SwiGLU, rotary positions, grouped-query attention."""

    layers: Annotated[int, Field(ge=1, le=1024)]
    """Transformer layers, each attention and feed-forward."""

    hidden_size: Annotated[int, Field(ge=1, le=131072)]
    """Width of the residual stream."""

    ffn_hidden_size: Annotated[int, Field(ge=1, le=1_048_576)]
    """Width of the feed-forward layer (of one of its two gated halves)."""

    attention_heads: Annotated[int, Field(ge=1, le=1024)]
    """Query heads."""

    query_groups: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Key-value heads. Unset means as many as `attentionHeads`."""

    tie_embeddings: bool = False
    """Whether the input and output embeddings are one matrix."""

    rope_base: Annotated[int, Field(ge=1, le=2**53)] = 500_000
    """Base of the rotary position frequencies."""

    norm_epsilon: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-5
    """Epsilon of RMSNorm."""

    init_std: Annotated[float, Field(ge=0.0, le=1.0)] = 0.02
    """Standard deviation of the initial weights; output projections: over sqrt(2 · layers)."""

    vocabulary_size: Count | None = None
    """Ids that the model knows. Unset means the tokenizer's; more leaves room for later stages."""

    @property
    def key_value_heads(self) -> int:
        """Return the number of key-value heads."""
        return self.query_groups or self.attention_heads
