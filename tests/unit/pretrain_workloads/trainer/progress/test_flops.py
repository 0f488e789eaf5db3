"""Parameters of a model, and operations of a token."""

from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.trainer.progress.flops import flops_per_token, parameters

LLAMA_8B = ModelSpec(
    layers=32,
    hidden_size=4096,
    ffn_hidden_size=14336,
    attention_heads=32,
    query_groups=8,
)


def test_llama_3_8b_has_its_published_number_of_parameters() -> None:
    assert parameters(LLAMA_8B, 128_256) == 8_030_261_248


def test_tied_embeddings_count_once() -> None:
    tied = LLAMA_8B.model_copy(update={"tie_embeddings": True})
    assert parameters(LLAMA_8B, 1000) - parameters(tied, 1000) == 1000 * 4096


def test_a_token_costs_six_operations_for_each_weight_and_its_attention() -> None:
    matrices = parameters(LLAMA_8B, 0) - 65 * 4096 + 128_256 * 4096
    want = 6 * matrices + 6 * 32 * 8192 * 4096
    assert flops_per_token(LLAMA_8B, 128_256, 8192) == want
