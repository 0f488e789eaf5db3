"""FLOPs of a token against a vector computed by hand."""

import pytest

from pretrain_api.formulas.flops import flops_per_token
from pretrain_api.formulas.model_shapes import ExpertsShape, ModelShape
from pretrain_api.formulas.parameters import total_parameters

LLAMA_8B = ModelShape(32, 4096, 14336, 32, 8, 128, 128_256)


def test_flops_are_counted_in_causal_attention() -> None:
    causal = flops_per_token(LLAMA_8B, 8192)
    assert causal == pytest.approx(5.147040e10, rel=1e-6)
    scores = 6 * 32 * 4096 * 8192
    assert (causal + scores) / causal == pytest.approx(1.1252, abs=1e-4)
    assert causal - scores == pytest.approx(4.502795e10, rel=1e-6)


def test_a_token_costs_six_operations_for_each_weight_and_its_attention() -> None:
    norms, input_embedding = 65 * 4096, 128_256 * 4096
    matrices = total_parameters(LLAMA_8B) - norms - input_embedding
    assert flops_per_token(LLAMA_8B, 8192) == 6 * matrices + 6 * 32 * 8192 * 4096


def test_only_the_experts_of_a_token_cost_something() -> None:
    experts = ExpertsShape(64, 2, 512, shared_ffn_hidden_size=1024)
    dense = ModelShape(4, 512, 2048, 8, 8, 64, 1024)
    routed = ModelShape(4, 512, 4096, 8, 8, 64, 1024, experts=experts)
    router = 6 * 4 * 512 * 64
    assert flops_per_token(routed, 128) == flops_per_token(dense, 128) + router
