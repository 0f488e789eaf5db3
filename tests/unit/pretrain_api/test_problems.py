"""Problems of manifests: one line each, with the path of the field, its value and what would do."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from builders import dataset_spec, pipeline_spec, profile_spec, run_spec, tokenizer_spec
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec

TYPES: dict[str, tuple[type[BaseModel], Any]] = {
    "ComputeProfile": (ComputeProfileSpec, profile_spec),
    "DataPipeline": (DataPipelineSpec, pipeline_spec),
    "Tokenizer": (TokenizerSpec, tokenizer_spec),
    "TokenDataset": (TokenDatasetSpec, dataset_spec),
    "PretrainJob": (PretrainJobSpec, run_spec),
}

LINES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a missing field": ("Tokenizer", {"corpus": {}}, "spec.corpus.pipelineRef: is required"),
    "an unknown field": ("Tokenizer", {"size": 1}, "spec.size: there is no such field"),
    "a field with a typo": (
        "PretrainJob",
        {"recovery": {"budgets": {"user": {"windows": "1h"}}}},
        "spec.recovery.budgets.user.windows: there is no such field; did you mean window?",
    ),
    "an unknown field of a list": (
        "DataPipeline",
        {"sources": [{"name": "a", "uri": "s3://a", "lang": "zh"}]},
        "spec.sources[0].lang: there is no such field",
    ),
    "a number below its limit": (
        "Tokenizer",
        {"vocabularySize": 511},
        "spec.vocabularySize: 511: input should be greater than or equal to 512",
    ),
    "a number above its limit": (
        "TokenDataset",
        {"validation": {"fraction": 0.6}},
        "spec.validation.fraction: 0.6: input should be less than or equal to 0.5",
    ),
    "a text for a number": (
        "Tokenizer",
        {"vocabularySize": "many"},
        "spec.vocabularySize: 'many': input should be a valid integer, unable to parse string as an"
        " integer",
    ),
    "a number for a text": (
        "Tokenizer",
        {"output": {"uri": 7}},
        "spec.output.uri: 7: input should be a valid string",
    ),
    "a text for a map": (
        "Tokenizer",
        {"output": "s3://a"},
        "spec.output: 's3://a': input should be a valid dictionary or instance of Location",
    ),
    "a value that is none of the choices": (
        "Tokenizer",
        {"algorithm": "wordpiece"},
        "spec.algorithm: 'wordpiece': input should be 'bpe', 'unigram' or 'byteLevelBpe'",
    ),
    "a name with capitals": (
        "Tokenizer",
        {"corpus": {"pipelineRef": {"name": "Web"}}},
        "spec.corpus.pipelineRef.name: 'Web': string should match pattern"
        " '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
    ),
    "an empty list": (
        "TokenDataset",
        {"mixture": []},
        "spec.mixture: []: list should have at least 1 item after validation, not 0",
    ),
    "no quantity": (
        "TokenDataset",
        {"tokens": "lots"},
        "spec.tokens: 'lots' is not a quantity; write an integer or for example 500M, 100G, 10Gi",
    ),
    "no duration": (
        "PretrainJob",
        {"ttlAfterFinished": "soon"},
        "spec.ttlAfterFinished: 'soon' is not a duration; write for example 90s, 20m, 24h or 7d",
    ),
    "a map entry": (
        "Tokenizer",
        {"corpus": {"pipelineRef": {"name": "a"}, "languageWeights": {"zh": -1}}},
        "spec.corpus.languageWeights.zh: -1: input should be greater than or equal to 0",
    ),
    "two sources of one name": (
        "DataPipeline",
        {"sources": [{"name": "a", "uri": "s3://a"}] * 2},
        "sources: the names ['a'] occur more than once; give each its own",
    ),
    "a rule of two kinds": (
        "DataPipeline",
        {"rules": [{"length": {}, "languageId": {}}]},
        "regex, lines, code and datatrove, not 2 of them",
    ),
    "a preset with a typo": (
        "PretrainJob",
        {"model": {"preset": "llama3-8"}},
        "spec.model.preset: 'llama3-8' is none of the 31 values that there are; did you mean"
        " llama3-8b?",
    ),
    "a preset that is a list": (
        "PretrainJob",
        {"model": {"preset": ["llama3-8b"]}},
        "spec.model.preset: ['llama3-8b']: input should be 'llama2-7b'",
    ),
}


def problems_of(model: type[BaseModel], value: object) -> list[str]:
    """Return the problems of a value, none if it is taken."""
    try:
        parse(model, value)
    except InvalidManifest as error:
        return error.problems
    return []


@pytest.mark.parametrize("name", LINES)
def test_a_problem_is_one_line_with_field_value_and_what_would_do(name: str) -> None:
    kind, changes, want = LINES[name]
    model, build = TYPES[kind]
    with pytest.raises(InvalidManifest) as refused:
        parse(model, build(**changes))
    lines = [line for line in refused.value.problems if want in line]
    assert lines, refused.value.problems
    assert lines[0].startswith("spec")
    assert "pydantic" not in str(refused.value)


def test_all_problems_are_named_at_once_in_the_order_of_the_fields() -> None:
    wrong = {"corpus": {}, "vocabularySize": 1, "output": {"uri": ""}, "more": 1}
    with pytest.raises(InvalidManifest) as refused:
        parse(TokenizerSpec, wrong)
    fields = [problem.partition(":")[0] for problem in refused.value.problems]
    assert fields == [
        "spec.corpus.pipelineRef",
        "spec.vocabularySize",
        "spec.output.uri",
        "spec.more",
    ]
    assert str(refused.value) == "; ".join(refused.value.problems)


def test_paths_start_where_the_caller_says() -> None:
    with pytest.raises(InvalidManifest, match=r"^status\.corpus: is required"):
        parse(TokenizerSpec, {"vocabularySize": 1024, "output": {"uri": "s3://a"}}, "status")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


@given(kind=st.sampled_from(sorted(TYPES)), data=st.data(), junk=JSON)
def test_any_value_of_a_field_is_taken_or_described_in_short_lines(
    kind: str, data: st.DataObject, junk: object
) -> None:
    model, build = TYPES[kind]
    name = data.draw(st.sampled_from(sorted(str(f.alias) for f in model.model_fields.values())))
    for line in problems_of(model, build(**{name: junk})):
        assert line.startswith("spec")
        assert len(line) < 600


def test_a_long_value_is_cut() -> None:
    with pytest.raises(InvalidManifest) as refused:
        parse(TokenizerSpec, tokenizer_spec(output="x" * 10_000))
    [line] = refused.value.problems
    assert len(line) < 200
    assert "xxx…" in line


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_the_builders_of_tests_are_valid(kind: str) -> None:
    model, build = TYPES[kind]
    assert parse(model, build()) == model.model_validate(build())


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_spec_survives_the_wire(kind: str) -> None:
    model, build = TYPES[kind]
    spec = parse(model, build())
    assert parse(model, spec.model_dump(mode="json", by_alias=True)) == spec
    assert parse(model, spec.model_dump(mode="json", by_alias=True, exclude_unset=True)) == spec


def test_a_key_that_is_no_text_of_one_line_is_shown_as_python_writes_it() -> None:
    manifest = tokenizer_spec() | {"size\n\x1b[2J": 1}
    with pytest.raises(InvalidManifest) as caught:
        parse(TokenizerSpec, manifest)
    assert "spec['size\\n\\x1b[2J']: there is no such field" in str(caught.value)
