"""The frequencies of rotary positions, and how they are stretched to longer sequences.

Sources: Su et al. 2021 (RoFormer), section 3.2; `linear`: Chen et al. (arXiv 2306.15595), equation
4; `yarn`: Peng et al. (arXiv 2309.00071), sections 3.2 to 3.4; `llama3`: Grattafiori et al. (arXiv
2407.21783), whose published models define it.
"""

import math
from dataclasses import dataclass

import torch

from pretrain_api.v1alpha1.model import ModelSpec, RopeScaling


@dataclass(frozen=True)
class RotaryWaves:
    """Base and scaling of the frequencies of a model."""

    base: float
    scaling: RopeScaling | None = None

    @classmethod
    def of(cls, model: ModelSpec) -> "RotaryWaves":
        """Return those of a model."""
        return cls(float(model.rope_base), model.rope_scaling)

    def frequencies(self, width: int) -> tuple[torch.Tensor, float]:
        """Return the angles of one position, `[D / 2]`, and what cosine and sine are scaled by."""
        inverse = self.base ** -(torch.arange(0, width, 2, dtype=torch.float32) / width)
        scaling = self.scaling
        if scaling is None:
            return inverse, 1.0
        match scaling.type:
            case "linear":
                return inverse / scaling.factor, 1.0
            case "llama3":
                return _stretch_long_waves(inverse, scaling), 1.0
        return self._interpolate(inverse, scaling), 0.1 * math.log(scaling.factor) + 1.0

    def _interpolate(self, inverse: torch.Tensor, scaling: RopeScaling) -> torch.Tensor:
        """Return `yarn`: kept frequencies, stretched ones, and a ramp between them."""
        width, length = 2 * len(inverse), scaling.original_sequence_length
        assert length is not None

        def dimension(turns: float) -> float:
            waves = math.log(length / (turns * 2 * math.pi))
            return width * waves / (2 * math.log(self.base))

        low = max(math.floor(dimension(scaling.beta_fast)), 0)
        high = min(math.ceil(dimension(scaling.beta_slow)), width - 1)
        ramp = (torch.arange(len(inverse), dtype=torch.float32) - low) / max(high - low, 1e-3)
        stretched = ramp.clamp(0.0, 1.0)
        return inverse / scaling.factor * stretched + inverse * (1.0 - stretched)


def _stretch_long_waves(inverse: torch.Tensor, scaling: RopeScaling) -> torch.Tensor:
    length = scaling.original_sequence_length
    assert length is not None
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    turns = length * inverse / (2 * math.pi)
    kept = ((turns - low) / (high - low)).clamp(0.0, 1.0)
    return inverse / scaling.factor * (1.0 - kept) + inverse * kept
