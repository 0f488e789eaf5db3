"""Frequencies of rotary positions, beside those of transformers."""

from typing import Any

import pytest
import torch

from pretrain_api.v1alpha1.model import RopeScaling
from pretrain_workloads.trainer.kernels.rotary_waves import RotaryWaves

CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "linear", "factor": 4.0}, {"factor": 4.0}),
    (
        {"type": "llama3", "factor": 8.0, "originalSequenceLength": 8192},
        {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    ),
    (
        {
            "type": "llama3",
            "factor": 32.0,
            "originalSequenceLength": 64,
            "lowFrequencyFactor": 2.0,
            "highFrequencyFactor": 3.0,
        },
        {"factor": 32.0, "low_freq_factor": 2.0, "high_freq_factor": 3.0},
    ),
    ({"type": "yarn", "factor": 4.0, "originalSequenceLength": 32768}, {"factor": 4.0}),
    (
        {
            "type": "yarn",
            "factor": 16.0,
            "originalSequenceLength": 512,
            "betaFast": 20.0,
            "betaSlow": 2.0,
        },
        {"factor": 16.0, "beta_fast": 20.0, "beta_slow": 2.0},
    ),
]


@pytest.mark.parametrize("width", [16, 64, 128])
@pytest.mark.parametrize("base", [10_000.0, 500_000.0, 1_000_000.0])
@pytest.mark.parametrize(("ours", "theirs"), CASES)
def test_scaled_frequencies_are_those_of_transformers(
    ours: dict[str, Any], theirs: dict[str, Any], base: float, width: int
) -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaling = RopeScaling.model_validate(ours)
    rope = {"rope_type": scaling.type, "rope_theta": base, **theirs}
    if scaling.original_sequence_length:
        rope["original_max_position_embeddings"] = scaling.original_sequence_length
    config = LlamaConfig(
        head_dim=width,
        max_position_embeddings=round(scaling.factor * (scaling.original_sequence_length or 1)),
        rope_parameters=rope,
    )
    config.standardize_rope_params()
    want, want_scale = ROPE_INIT_FUNCTIONS[scaling.type](config, torch.device("cpu"))
    found, scale = RotaryWaves(base, scaling).frequencies(width)
    torch.testing.assert_close(found, want, rtol=1e-6, atol=0.0)
    assert scale == pytest.approx(want_scale)


def test_without_scaling_the_frequencies_fall_from_one() -> None:
    found, scale = RotaryWaves(10_000.0).frequencies(8)
    assert found.tolist() == pytest.approx([1.0, 0.1, 0.01, 0.001])
    assert scale == 1.0
