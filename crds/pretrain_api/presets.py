"""Published model shapes that `spec.model.preset` names."""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

PresetName = Literal[
    "llama2-7b",
    "llama2-13b",
    "llama2-70b",
    "llama3-8b",
    "llama3-70b",
    "llama3-405b",
    "llama3.1-8b",
    "llama3.1-70b",
    "llama3.2-1b",
    "llama3.2-3b",
    "mistral-7b",
    "mixtral-8x7b",
    "mixtral-8x22b",
    "qwen2.5-0.5b",
    "qwen2.5-1.5b",
    "qwen2.5-7b",
    "qwen2.5-14b",
    "qwen2.5-32b",
    "qwen2.5-72b",
    "qwen3-0.6b",
    "qwen3-1.7b",
    "qwen3-4b",
    "qwen3-8b",
    "qwen3-14b",
    "qwen3-32b",
    "qwen3-30b-a3b",
    "qwen3-235b-a22b",
    "smollm2-135m",
    "smollm2-360m",
    "smollm2-1.7b",
    "tinyllama-1.1b",
]


@dataclass(frozen=True)
class ExpertsPreset:
    """The experts of a published shape."""

    count: int
    top_k: int
    ffn_hidden_size: int

    def fields(self) -> dict[str, Any]:
        """Return the fields of a manifest that stand for them."""
        width = self.ffn_hidden_size
        return {"count": self.count, "topK": self.top_k, "ffnHiddenSize": width}


@dataclass(frozen=True)
class ModelPreset:
    """A published shape. Source of each: the `config.json` that its authors published."""

    layers: int
    hidden_size: int
    ffn_hidden_size: int
    attention_heads: int
    query_groups: int
    head_width: int = 0
    """Width of one head, where it is not `hidden_size` / `attention_heads`."""
    rope_base: int = 500_000
    rope_factor: float = 1.0
    """Factor of `llama3` scaling from sequences of 8,192 tokens; 1 means none."""
    norm_epsilon: float = 1e-5
    tie_embeddings: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False
    experts: ExpertsPreset | None = None

    @property
    def head_dim(self) -> int:
        """Return the width of one head."""
        return self.head_width or self.hidden_size // self.attention_heads

    def fields(self) -> dict[str, Any]:
        """Return the fields of a manifest that stand for this shape."""
        fields: dict[str, Any] = {
            "layers": self.layers,
            "hiddenSize": self.hidden_size,
            "ffnHiddenSize": self.ffn_hidden_size,
            "attentionHeads": self.attention_heads,
            "queryGroups": self.query_groups,
            "ropeBase": self.rope_base,
            "tieEmbeddings": self.tie_embeddings,
            "normEpsilon": self.norm_epsilon,
            "qkvBias": self.qkv_bias,
            "qkNorm": self.qk_norm,
        }
        if self.experts:
            fields["experts"] = self.experts.fields()
        if self.head_width:
            fields["headDim"] = self.head_width
        if self.rope_factor > 1.0:
            fields["ropeScaling"] = {
                "type": "llama3",
                "factor": self.rope_factor,
                "originalSequenceLength": 8192,
            }
        return fields


def _mixtral(preset: ModelPreset) -> ModelPreset:
    experts = ExpertsPreset(8, 2, preset.ffn_hidden_size)
    return replace(preset, rope_base=1_000_000, experts=experts)


def _qwen2(preset: ModelPreset) -> ModelPreset:
    return replace(preset, rope_base=1_000_000, qkv_bias=True)


def _small_qwen2(preset: ModelPreset) -> ModelPreset:
    return replace(_qwen2(preset), norm_epsilon=1e-6)


def _qwen3(preset: ModelPreset) -> ModelPreset:
    return replace(preset, head_width=128, rope_base=1_000_000, norm_epsilon=1e-6, qk_norm=True)


MODEL_PRESETS: dict[str, ModelPreset] = {
    "llama2-7b": ModelPreset(32, 4096, 11008, 32, 32, rope_base=10_000),
    "llama2-13b": ModelPreset(40, 5120, 13824, 40, 40, rope_base=10_000),
    "llama2-70b": ModelPreset(80, 8192, 28672, 64, 8, rope_base=10_000),
    "llama3-8b": ModelPreset(32, 4096, 14336, 32, 8),
    "llama3-70b": ModelPreset(80, 8192, 28672, 64, 8),
    "llama3-405b": ModelPreset(126, 16384, 53248, 128, 8),
    "llama3.1-8b": ModelPreset(32, 4096, 14336, 32, 8, rope_factor=8.0),
    "llama3.1-70b": ModelPreset(80, 8192, 28672, 64, 8, rope_factor=8.0),
    "llama3.2-1b": ModelPreset(16, 2048, 8192, 32, 8, rope_factor=32.0, tie_embeddings=True),
    "llama3.2-3b": ModelPreset(28, 3072, 8192, 24, 8, rope_factor=32.0, tie_embeddings=True),
    "mistral-7b": ModelPreset(32, 4096, 14336, 32, 8, rope_base=1_000_000),
    "mixtral-8x7b": _mixtral(ModelPreset(32, 4096, 14336, 32, 8)),
    "mixtral-8x22b": _mixtral(ModelPreset(56, 6144, 16384, 48, 8)),
    "qwen2.5-0.5b": _qwen2(
        ModelPreset(24, 896, 4864, 14, 2, norm_epsilon=1e-6, tie_embeddings=True)
    ),
    "qwen2.5-1.5b": _qwen2(
        ModelPreset(28, 1536, 8960, 12, 2, norm_epsilon=1e-6, tie_embeddings=True)
    ),
    "qwen2.5-7b": _qwen2(ModelPreset(28, 3584, 18944, 28, 4, norm_epsilon=1e-6)),
    "qwen2.5-14b": _qwen2(ModelPreset(48, 5120, 13824, 40, 8)),
    "qwen2.5-32b": _qwen2(ModelPreset(64, 5120, 27648, 40, 8)),
    "qwen2.5-72b": _qwen2(ModelPreset(80, 8192, 29568, 64, 8)),
    "qwen3-0.6b": _qwen3(ModelPreset(28, 1024, 3072, 16, 8, tie_embeddings=True)),
    "qwen3-1.7b": _qwen3(ModelPreset(28, 2048, 6144, 16, 8, tie_embeddings=True)),
    "qwen3-4b": _qwen3(ModelPreset(36, 2560, 9728, 32, 8, tie_embeddings=True)),
    "qwen3-8b": _qwen3(ModelPreset(36, 4096, 12288, 32, 8)),
    "qwen3-14b": _qwen3(ModelPreset(40, 5120, 17408, 40, 8)),
    "qwen3-32b": _qwen3(ModelPreset(64, 5120, 25600, 64, 8)),
    "qwen3-30b-a3b": _qwen3(ModelPreset(48, 2048, 6144, 32, 4, experts=ExpertsPreset(128, 8, 768))),
    "qwen3-235b-a22b": _qwen3(
        ModelPreset(94, 4096, 12288, 64, 4, experts=ExpertsPreset(128, 8, 1536))
    ),
    "smollm2-135m": ModelPreset(30, 576, 1536, 9, 3, rope_base=100_000, tie_embeddings=True),
    "smollm2-360m": ModelPreset(32, 960, 2560, 15, 5, rope_base=100_000, tie_embeddings=True),
    "smollm2-1.7b": ModelPreset(24, 2048, 8192, 32, 32, rope_base=130_000, tie_embeddings=True),
    "tinyllama-1.1b": ModelPreset(22, 2048, 5632, 32, 4, rope_base=10_000),
}
"""By the name in a manifest."""

if set(MODEL_PRESETS) != set(get_args(PresetName)):  # pragma: no cover - a mistake of ours
    raise AssertionError("PresetName and MODEL_PRESETS differ")
