"""The configuration of a Hugging Face model, compared with that of a run."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import parsed_run
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import open_uri
from pretrain_workloads.trainer.initial_weights.configuration import check_configuration

MODEL = {
    "layers": 4,
    "hiddenSize": 64,
    "ffnHiddenSize": 128,
    "attentionHeads": 4,
    "queryGroups": 2,
    "ropeBase": 10000,
}
CONFIGURATION: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": 256,
}


YARN_LENGTH = {"original_max_position_embeddings": 32768}
LLAMA_3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


QWEN3_MOE = {
    "model_type": "qwen3_moe",
    "num_experts": 8,
    "num_experts_per_tok": 4,
    "moe_intermediate_size": 32,
    "norm_topk_prob": True,
}
EXPERTS_OF_GLM = {
    "count": 8,
    "ffnHiddenSize": 32,
    "sharedFfnHiddenSize": 64,
    "denseLayers": 1,
    "router": "sigmoid",
    "scalingFactor": 2.5,
}
GLM = {
    "model_type": "glm4_moe",
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
    "routed_scaling_factor": 2.5,
    "n_group": 1,
    "attention_bias": True,
    "partial_rotary_factor": 1.0,
}


def compare(folder: Path, content: str, **model: Any) -> None:
    (folder / "config.json").write_text(content, encoding="utf-8")
    spec = parsed_run(model=MODEL | model).model
    check_configuration(spec, open_uri(f"file://{folder}"), 256)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rope_theta": 10000.0, "head_dim": None, "rope_scaling": None, "sliding_window": None},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 10000}},
        {"model_type": "mistral", "tie_word_embeddings": False, "vocab_size": 200},
    ],
)
def test_the_same_model_is_accepted_as_any_release_writes_it(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    compare(tmp_path, json.dumps(CONFIGURATION | changes))


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (
            {"ropeScaling": {"type": "llama3", "factor": 8, "originalSequenceLength": 8192}},
            {"rope_scaling": LLAMA_3},
        ),
        (
            {"ropeScaling": {"type": "yarn", "factor": 4, "originalSequenceLength": 32768}},
            {"rope_scaling": {"type": "yarn", "factor": 4.0, **YARN_LENGTH}, "rope_theta": 1e4},
        ),
        (
            {"ropeScaling": {"type": "linear", "factor": 2}},
            {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
        ),
        (
            {"qkvBias": True},
            {"model_type": "qwen2", "sliding_window": 32768, "use_sliding_window": False},
        ),
        ({"qkNorm": True, "headDim": 32}, {"model_type": "qwen3", "head_dim": 32}),
        (
            {"experts": {"count": 8, "ffnHiddenSize": 128}, "ffnHiddenSize": 999},
            {"model_type": "mixtral", "num_local_experts": 8, "sliding_window": None},
        ),
        (
            {"experts": {"count": 8, "topK": 4, "ffnHiddenSize": 32}, "qkNorm": True},
            QWEN3_MOE,
        ),
        ({"experts": EXPERTS_OF_GLM, "qkvBias": True}, GLM),
    ],
)
def test_a_model_of_another_family_is_accepted_with_its_fields(
    model: dict[str, Any], changes: dict[str, Any], tmp_path: Path
) -> None:
    compare(tmp_path, json.dumps(CONFIGURATION | changes), **model)


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({"num_key_value_heads": None}, "spec.model.queryGroups: 2, but .* has 4; use 4"),
        ({"rope_theta": 500000}, "spec.model.ropeBase: 10000, but .* has 500000; use 500000"),
        ({"rms_norm_eps": 1e-6}, "spec.model.normEpsilon: 1e-05, but .* has 1e-06"),
        ({"head_dim": 32}, "spec.model.headDim: 16, but .* has 32"),
        ({"tie_word_embeddings": True}, "spec.model.tieEmbeddings: False, but .* has True"),
        ({"vocab_size": 257}, "spec.model.vocabularySize: 256, but .* use 257 or more"),
        ({"rope_scaling": {"rope_type": "longrope"}}, r"positions are scaled \(longrope\)"),
        (
            {"rope_scaling": LLAMA_3},
            "spec.model.ropeScaling: none, but .* has {type: llama3, factor: 8, "
            "lowFrequencyFactor: 1, highFrequencyFactor: 4, originalSequenceLength: 8192}; use",
        ),
        ({"model_type": "qwen2"}, "spec.model.qkvBias: False, but .* has True; use True"),
        ({"model_type": "qwen3"}, "spec.model.qkNorm: False, but .* has True; use True"),
        ({"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 9}, "window is 9"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"model_type": "mistral", "sliding_window": 4096}, "sliding_window is 4096"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', not 'silu'"),
        ({"model_type": None}, "model_type is None, none of llama, mistral, qwen2"),
        (QWEN3_MOE, "spec.model.experts: none, but .* has given; use given"),
        (QWEN3_MOE | {"norm_topk_prob": False}, "norm_topk_prob is False, not true"),
        (QWEN3_MOE | {"decoder_sparse_step": 2}, "decoder_sparse_step is 2, not 1"),
        (QWEN3_MOE | {"mlp_only_layers": [1]}, r"mlp_only_layers is \[1\], not the first layers"),
        (GLM | {"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5, not 1"),
    ],
)
def test_another_model_is_refused_with_the_field_and_what_would_do(
    changes: dict[str, Any], want: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=want):
        compare(tmp_path, json.dumps(CONFIGURATION | changes))


@pytest.mark.parametrize(
    ("field", "value"),
    [("count", 4), ("topK", 3), ("ffnHiddenSize", 64), ("denseLayers", 0), ("scalingFactor", 1.0)],
)
def test_other_experts_are_refused_with_the_field_and_what_would_do(
    field: str, value: object, tmp_path: Path
) -> None:
    experts = EXPERTS_OF_GLM | {field: value}
    with pytest.raises(UserError, match=rf"spec\.model\.experts\.{field}: .*, but .* has .*; use"):
        compare(tmp_path, json.dumps(CONFIGURATION | GLM), experts=experts, qkvBias=True)


FIELDS = sorted({*CONFIGURATION, *QWEN3_MOE, *GLM, "rope_scaling", "rope_parameters", "head_dim"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    known=st.sampled_from([{}, QWEN3_MOE, GLM, {"model_type": "mixtral", "num_local_experts": 8}]),
    odd=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3),
)
def test_a_configuration_with_any_values_is_accepted_or_refused(
    known: dict[str, Any], odd: dict[str, Any], tmp_path: Path
) -> None:
    experts = {"experts": EXPERTS_OF_GLM, "qkvBias": True} if known is GLM else {}
    with suppress(UserError):
        compare(tmp_path, json.dumps(CONFIGURATION | known | odd), **experts)


@pytest.mark.parametrize("content", ["[]", '{"model_type": ', "null"])
def test_what_is_no_configuration_is_named(content: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json is no JSON"):
        compare(tmp_path, content)
