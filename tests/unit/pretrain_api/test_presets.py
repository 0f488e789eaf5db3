"""Presets are the published models, and a manifest may change any field of them."""

from typing import Any

import pytest
from pydantic import ValidationError

from pretrain_api.formulas.model_shapes import model_shape_of
from pretrain_api.formulas.parameters import total_parameters
from pretrain_api.presets import MODEL_PRESETS
from pretrain_api.rules import check
from pretrain_api.v1alpha1.model import ModelSpec

PUBLISHED = {
    # Ids of the tokenizer, and parameters of the checkpoint as its model card counts them.
    "llama2-7b": (32_000, 6_738_415_616),
    "llama2-13b": (32_000, 13_015_864_320),
    "llama2-70b": (32_000, 68_976_648_192),
    "llama3-8b": (128_256, 8_030_261_248),
    "llama3-70b": (128_256, 70_553_706_496),
    "llama3-405b": (128_256, 405_853_388_800),
    "llama3.2-1b": (128_256, 1_235_814_400),
    "llama3.2-3b": (128_256, 3_212_749_824),
    "llama3.1-8b": (128_256, 8_030_261_248),
    "llama3.1-70b": (128_256, 70_553_706_496),
    "mistral-7b": (32_768, 7_248_023_552),
    "mixtral-8x7b": (32_000, 46_702_792_704),
    "mixtral-8x22b": (32_768, 140_630_071_296),
    "qwen2.5-0.5b": (151_936, 494_032_768),
    "qwen2.5-1.5b": (151_936, 1_543_714_304),
    "qwen2.5-7b": (152_064, 7_615_616_512),
    "qwen2.5-14b": (152_064, 14_770_033_664),
    "qwen2.5-32b": (152_064, 32_763_876_352),
    "qwen2.5-72b": (152_064, 72_706_203_648),
    "qwen3-0.6b": (151_936, 596_049_920),
    "qwen3-1.7b": (151_936, 1_720_574_976),
    "qwen3-4b": (151_936, 4_022_468_096),
    "qwen3-8b": (151_936, 8_190_735_360),
    "qwen3-14b": (151_936, 14_768_307_200),
    "qwen3-32b": (151_936, 32_762_123_264),
    "qwen3-30b-a3b": (151_936, 30_532_122_624),
    "qwen3-235b-a22b": (151_936, 235_093_634_560),
    "smollm2-135m": (49_152, 134_515_008),
    "smollm2-360m": (49_152, 361_821_120),
    "smollm2-1.7b": (49_152, 1_711_376_384),
    "tinyllama-1.1b": (32_000, 1_100_048_384),
}


@pytest.mark.parametrize("name", sorted(MODEL_PRESETS))
def test_a_preset_has_the_parameters_of_the_published_model(name: str) -> None:
    vocabulary_size, want = PUBLISHED[name]
    shape = model_shape_of(ModelSpec.model_validate({"preset": name}), vocabulary_size)
    assert total_parameters(shape, vocabulary_size) == want


@pytest.mark.parametrize("name", sorted(MODEL_PRESETS))
def test_the_preset_and_its_fields_are_the_same_model(name: str) -> None:
    fields = MODEL_PRESETS[name].fields()
    written, preset = ModelSpec.model_validate(fields), ModelSpec.model_validate({"preset": name})
    assert written == preset.model_copy(update={"preset": None})


OWN: dict[str, Any] = {"layers": 16, "queryGroups": 4, "ropeBase": 1000, "tieEmbeddings": True}


@pytest.mark.parametrize("field", OWN)
def test_a_field_of_the_manifest_takes_precedence_over_the_preset(field: str) -> None:
    spec = ModelSpec.model_validate({"preset": "llama3-8b", field: OWN[field]})
    want = {**MODEL_PRESETS["llama3-8b"].fields(), field: OWN[field]}
    written = spec.model_dump(by_alias=True)
    assert {name: written[name] for name in want} == want


def test_a_field_that_is_null_is_that_of_the_preset() -> None:
    null = ModelSpec.model_validate({"preset": "mixtral-8x7b", "experts": None, "layers": None})
    assert null == ModelSpec.model_validate({"preset": "mixtral-8x7b"})


@pytest.mark.parametrize("preset", ["llama", "", None, 8, ["llama3-8b"], {"name": "llama3-8b"}])
def test_what_is_no_preset_fills_no_field(preset: object) -> None:
    with pytest.raises(ValidationError) as refused:
        ModelSpec.model_validate({"preset": preset})
    fields = {str(error["loc"][0]) for error in refused.value.errors()}
    assert {"layers", "hiddenSize", "ffnHiddenSize", "attentionHeads"} <= fields


@pytest.mark.parametrize("name", sorted(MODEL_PRESETS))
def test_the_rules_know_the_shape_of_every_preset(name: str) -> None:
    """CEL has its own table of presets: a tensor size that does not divide is found there too."""
    spec = {
        "model": {"preset": name},
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": {"gpusPerNode": 7, "tensor": 7},
        "training": {"tokens": "1G", "sequenceLength": 4096, "globalBatchSize": 7},
        "checkpoint": {"uri": "s3://checkpoints/run"},
    }
    messages = {problem.rule: problem.message for problem in check("PretrainJob", spec)}
    preset = MODEL_PRESETS[name]
    uneven = {
        "heads-tensor": preset.attention_heads,
        "groups-tensor": preset.query_groups,
        "ffn-tensor": preset.ffn_hidden_size,
    }
    for rule, size in uneven.items():
        if size % 7:
            assert messages[rule].startswith(f"{size} is "), rule
        else:
            assert rule not in messages
