"""The shape of a Llama-like model, dense or with experts."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from pretrain_api.meta import ApiModel, NonNegative, Positive
from pretrain_api.presets import MODEL_PRESETS, PresetName

VocabularySize = Annotated[int, Field(ge=1, le=2**31 - 1)]


def _preset_may_fill(schema: dict[str, Any]) -> None:
    """Require no field of the shape in the schema: `preset` can fill them, and a rule checks it."""
    schema.pop("required", None)


class ExpertsSpec(ApiModel):
    """Feed-forward layers with a router and experts (mixture of experts)."""

    count: Annotated[int, Field(ge=2, le=4096)]
    """Experts of a layer."""

    top_k: Annotated[int, Field(ge=1, le=256)] = 2
    """Experts that each token is sent to."""

    ffn_hidden_size: Annotated[int, Field(ge=1, le=1_048_576)]
    """Width of one expert (of one of its two gated halves)."""

    shared_ffn_hidden_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    """Width of the expert that every token passes. Unset means there is none."""

    dense_layers: Annotated[int, Field(ge=0, le=1024)] = 0
    """First layers that stay dense, `ffnHiddenSize` wide."""

    groups: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Groups that the router chooses from first. Unset means no groups."""

    group_top_k: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Groups that a token may use; goes with `groups`."""

    router: Literal["softmax", "sigmoid"] = "softmax"
    """How scores become weights. `softmax`: over the chosen experts, as in Mixtral and Qwen3-MoE.
    `sigmoid`: each score alone, and a bias that is moved after each step keeps the experts equally
    busy, as in DeepSeek-V3 and GLM-4.5."""

    scaling_factor: Annotated[float, Field(ge=0.001, le=1000.0)] = 1.0
    """Factor of the experts' weighted sum."""

    auxiliary_loss: Annotated[float, Field(ge=0.0, le=1.0)] = 0.001
    """Coefficient of the loss that keeps the experts of each sequence equally busy; 0 means
    none. It is part of the gradient, not of the loss that is reported."""

    z_loss: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Coefficient of the loss that keeps the router's scores small; 0 means none. It is part of the
    gradient, not of the loss that is reported."""

    bias_update_rate: Annotated[float, Field(ge=0.0, le=1.0)] = 0.001
    """Step of the `sigmoid` router's bias after each optimizer step; 0 keeps the bias."""


class RopeScaling(ApiModel):
    """Rotary positions that are stretched to longer sequences than the model first saw."""

    type: Literal["linear", "llama3", "yarn"]
    """`linear` divides all frequencies by `factor`; `llama3` and `yarn` only low ones, whose waves
    are long against `originalSequenceLength`. As in Hugging Face's `rope_type`."""

    factor: Annotated[float, Field(ge=1.0, le=1024.0)]
    """How many times longer the sequences are."""

    original_sequence_length: Positive | None = None
    """Tokens of the sequences that the model first saw; `llama3` and `yarn` need it."""

    low_frequency_factor: Annotated[float, Field(ge=0.001, le=1024.0)] = 1.0
    """`llama3`: waves longer than the original length over this are stretched by `factor`."""

    high_frequency_factor: Annotated[float, Field(ge=0.001, le=1024.0)] = 4.0
    """`llama3`: waves shorter than the original length over this are kept."""

    beta_fast: Annotated[float, Field(ge=0.001, le=1024.0)] = 32.0
    """`yarn`: frequencies with more turns than this in the original length are kept."""

    beta_slow: Annotated[float, Field(ge=0.001, le=1024.0)] = 1.0
    """`yarn`: frequencies with fewer turns than this are divided by `factor`."""


class ModelSpec(ApiModel):
    """A decoder of the Llama family, which Mistral and Qwen belong to: RMSNorm, SwiGLU, rotary
    positions, grouped-query attention."""

    model_config = ConfigDict(json_schema_extra=_preset_may_fill)

    preset: PresetName | None = None
    """Published shape that fills every field of the shape that is not given. Unset means that
    `layers`, `hiddenSize`, `ffnHiddenSize` and `attentionHeads` are given."""

    layers: Annotated[int, Field(ge=1, le=1024)]
    """Transformer layers, each attention and feed-forward. Unset means the preset's."""

    hidden_size: Annotated[int, Field(ge=1, le=131072)]
    """Width of the residual stream. Unset means the preset's."""

    ffn_hidden_size: Annotated[int, Field(ge=1, le=1_048_576)]
    """Width of the feed-forward layer (of one of its two gated halves). Unset means the
    preset's."""

    attention_heads: Annotated[int, Field(ge=1, le=1024)]
    """Query heads. Unset means the preset's."""

    query_groups: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Key-value heads. Unset means the preset's, or as many as `attentionHeads`."""

    head_dim: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Width of one head. Unset means the preset's, or `hiddenSize` / `attentionHeads`."""

    experts: ExpertsSpec | None = None
    """Experts of the feed-forward layers. Unset means a dense model."""

    tie_embeddings: bool = False
    """Whether the input and output embeddings are one matrix."""

    rope_base: Annotated[int, Field(ge=1, le=2**53)] = 500_000
    """Base of the rotary position frequencies."""

    rope_scaling: RopeScaling | None = None
    """How rotary positions are stretched. Unset means the preset's, or not at all."""

    qkv_bias: bool = False
    """Whether the projections to queries, keys and values have a bias, as in Qwen2."""

    qk_norm: bool = False
    """Whether each head's queries and keys are normalised, as in Qwen3."""

    norm_epsilon: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-5
    """Epsilon of RMSNorm."""

    init_std: Annotated[float, Field(ge=0.0, le=1.0)] = 0.02
    """Standard deviation of the initial weights; output projections: over sqrt(2 · layers)."""

    vocabulary_size: VocabularySize | None = None
    """Ids that the model knows. Unset means the tokenizer's; more leaves room for later stages."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, value: object) -> object:
        name = value.get("preset") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(name, str) or name not in MODEL_PRESETS:
            return value
        given = {field: own for field, own in value.items() if own is not None}
        return MODEL_PRESETS[name].fields() | given

    @property
    def key_value_heads(self) -> int:
        """Return the number of key-value heads."""
        return self.query_groups or self.attention_heads

    @property
    def head_width(self) -> int:
        """Return the width of one attention head."""
        return self.head_dim or self.hidden_size // self.attention_heads

    @property
    def dense_layers(self) -> NonNegative:
        """Return the number of layers without experts."""
        return self.layers if self.experts is None else min(self.layers, self.experts.dense_layers)
