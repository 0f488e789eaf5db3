"""Published model shapes that `spec.model.preset` names."""

from dataclasses import dataclass
from typing import Literal, get_args

PresetName = Literal[
    "llama2-7b",
    "llama2-13b",
    "llama2-70b",
    "llama3-8b",
    "llama3-70b",
    "llama3-405b",
    "llama3.2-1b",
    "llama3.2-3b",
]


@dataclass(frozen=True)
class ModelPreset:
    """A published shape. Source of each: the `config.json` that its authors published."""

    layers: int
    hidden_size: int
    ffn_hidden_size: int
    attention_heads: int
    query_groups: int
    rope_base: int = 500_000
    tie_embeddings: bool = False

    def fields(self) -> dict[str, int | bool]:
        """Return the fields of a manifest that stand for this shape."""
        return {
            "layers": self.layers,
            "hiddenSize": self.hidden_size,
            "ffnHiddenSize": self.ffn_hidden_size,
            "attentionHeads": self.attention_heads,
            "queryGroups": self.query_groups,
            "ropeBase": self.rope_base,
            "tieEmbeddings": self.tie_embeddings,
        }


MODEL_PRESETS: dict[str, ModelPreset] = {
    "llama2-7b": ModelPreset(32, 4096, 11008, 32, 32, rope_base=10_000),
    "llama2-13b": ModelPreset(40, 5120, 13824, 40, 40, rope_base=10_000),
    "llama2-70b": ModelPreset(80, 8192, 28672, 64, 8, rope_base=10_000),
    "llama3-8b": ModelPreset(32, 4096, 14336, 32, 8),
    "llama3-70b": ModelPreset(80, 8192, 28672, 64, 8),
    "llama3-405b": ModelPreset(126, 16384, 53248, 128, 8),
    "llama3.2-1b": ModelPreset(16, 2048, 8192, 32, 8, tie_embeddings=True),
    "llama3.2-3b": ModelPreset(28, 3072, 8192, 24, 8, tie_embeddings=True),
}
"""By the name in a manifest."""

if set(MODEL_PRESETS) != set(get_args(PresetName)):  # pragma: no cover - a mistake of ours
    raise AssertionError("PresetName and MODEL_PRESETS differ")
