"""The configuration of a Hugging Face model, compared with that of a run."""

import json
from pathlib import Path
from typing import Any

import pytest

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


def compare(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content, encoding="utf-8")
    check_configuration(parsed_run(model=MODEL).model, open_uri(f"file://{folder}"), 256)


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
    ("changes", "want"),
    [
        ({"num_key_value_heads": None}, "spec.model.queryGroups: 2, but .* has 4; use 4"),
        ({"rope_theta": 500000}, "spec.model.ropeBase: 10000, but .* has 500000; use 500000"),
        ({"rms_norm_eps": 1e-6}, "spec.model.normEpsilon: 1e-05, but .* has 1e-06"),
        ({"head_dim": 32}, "spec.model.headDim: 16, but .* has 32"),
        ({"tie_word_embeddings": True}, "spec.model.tieEmbeddings: False, but .* has True"),
        ({"vocab_size": 257}, "spec.model.vocabularySize: 256, but .* use 257 or more"),
        ({"rope_scaling": {"rope_type": "llama3"}}, r"rotary positions are scaled \(llama3\)"),
        ({"sliding_window": 4096}, "sliding_window is 4096"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', not 'silu'"),
        ({"model_type": None}, "model_type is None, not llama or mistral"),
    ],
)
def test_another_model_is_refused_with_the_field_and_what_would_do(
    changes: dict[str, Any], want: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=want):
        compare(tmp_path, json.dumps(CONFIGURATION | changes))


@pytest.mark.parametrize("content", ["[]", '{"model_type": ', "null"])
def test_what_is_no_configuration_is_named(content: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json is no JSON"):
        compare(tmp_path, content)
