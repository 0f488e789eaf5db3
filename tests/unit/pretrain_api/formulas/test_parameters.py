"""Parameters against published models."""

from dataclasses import replace

import pytest

from pretrain_api.formulas.model_shapes import ExpertsShape, ModelShape, model_shape_of
from pretrain_api.formulas.parameters import active_parameters, total_parameters
from pretrain_api.v1alpha1.model import ModelSpec

LLAMA_8B = ModelShape(32, 4096, 14336, 32, 8, 128, 128_256)


def test_parameters_are_those_that_are_published() -> None:
    assert total_parameters(LLAMA_8B) == 8_030_261_248
    llama_405b = ModelShape(126, 16384, 53248, 128, 8, 128, 128_256)
    assert total_parameters(llama_405b) == 405_853_388_800


def test_padding_of_the_vocabulary_counts_only_by_default() -> None:
    padded = replace(LLAMA_8B, padded_vocabulary_size=131_072)
    assert total_parameters(padded, 128_256) == 8_030_261_248
    assert total_parameters(padded) == 8_030_261_248 + 2 * 4096 * (131_072 - 128_256)


def test_tied_embeddings_count_once() -> None:
    tied = replace(LLAMA_8B, is_tied=True)
    assert total_parameters(LLAMA_8B) - total_parameters(tied) == 128_256 * 4096


def test_active_parameters_of_experts_are_those_that_are_published() -> None:
    mixtral = ModelShape(32, 4096, 14336, 32, 8, 128, 32_000, experts=ExpertsShape(8, 2, 14336))
    assert total_parameters(mixtral) / 1e9 == pytest.approx(46.7, abs=0.05)
    assert active_parameters(mixtral) / 1e9 == pytest.approx(12.9, abs=0.05)


def test_leading_layers_without_experts_are_as_wide_as_the_model_says() -> None:
    dense = ModelShape(4, 512, 2048, 8, 8, 64, 1024)
    experts = ExpertsShape(8, 2, 256, shared_ffn_hidden_size=128, dense_layers=3)
    routed = replace(dense, experts=experts)
    assert (routed.expert_layers(0, 3), routed.expert_layers(2, 4)) == (0, 1)
    one_layer = 3 * 512 * (8 * 256 + 128) + 512 * 8 - 3 * 512 * 2048
    assert total_parameters(routed) == total_parameters(dense) + one_layer


def test_the_shape_of_a_spec_pads_its_vocabulary_and_has_its_experts() -> None:
    spec = ModelSpec.model_validate(
        {
            "preset": "llama3.2-1b",
            "experts": {"count": 8, "ffnHiddenSize": 512, "denseLayers": 2},
        }
    )
    shape = model_shape_of(spec, 32_001)
    assert shape.padded_vocabulary_size == 32_128
    assert shape.experts == ExpertsShape(8, 2, 512, 0, 2)
    assert (shape.query_width, shape.key_width) == (2048, 512)
