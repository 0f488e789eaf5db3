"""Any value in any place of a spec: it is judged, and never answered with an exception."""

import math
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from builders import dataset_spec, gpu_profile_spec, pipeline_spec, tokenizer_spec
from pretrain_api.kinds import KINDS
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.rules import check

Path = tuple[str | int, ...]
SPEC_TYPES = {kind.name: kind.spec for kind in KINDS}

WHOLE_RUN: dict[str, Any] = {
    "profileRef": {"name": "gpu"},
    "model": {
        "preset": "llama3-8b",
        "headDim": 128,
        "vocabularySize": 128256,
        "experts": {
            "count": 8,
            "topK": 2,
            "ffnHiddenSize": 128,
            "sharedFfnHiddenSize": 256,
            "denseLayers": 2,
            "groups": 2,
            "groupTopK": 1,
        },
    },
    "data": {"datasetRef": {"name": "blocks"}},
    "parallelism": {
        "nodes": 2,
        "gpusPerNode": 8,
        "tensor": 2,
        "pipeline": 2,
        "virtualPipeline": 2,
        "context": 2,
        "expert": 2,
        "expertTensor": 1,
        "firstStageLayers": 8,
        "lastStageLayers": 8,
        "stageLayers": [8, 8, 8, 8],
        "sequence": True,
    },
    "training": {
        "tokens": "100G",
        "sequenceLength": 4096,
        "globalBatchSize": 512,
        "microBatchSize": 2,
        "batchSchedule": [{"fromTokens": "1G", "globalBatchSize": 1024}],
        "longContext": {"sequenceLength": 8192, "tokens": "1G", "globalBatchSize": 64},
        "optimizer": {"learningRate": 1e-4, "minLearningRate": 1e-5, "betas": [0.9, 0.95]},
        "schedule": {
            "warmup": {"tokens": "1G"},
            "decay": {"tokens": "90G", "shape": "wsd"},
            "anneal": {"tokens": "1G"},
        },
        "precision": "fp8",
    },
    "checkpoint": {"uri": "s3://a", "every": {"steps": 10}, "keep": {"everySteps": 20}},
    "evaluation": {"everySteps": 5, "prompts": ["x"]},
    "export": {"huggingFace": {"uri": "s3://m"}},
    "recovery": {"budgets": {"user": {"max": 1, "window": "1h"}}},
    "ttlAfterFinished": "1h",
}
WHOLE: dict[str, dict[str, Any]] = {
    "ComputeProfile": gpu_profile_spec(network={"domainSize": 4, "gigabytesPerSecond": 5.0}),
    "DataPipeline": pipeline_spec(
        rules=[{"length": {"minCharacters": 3}}, {"languageId": {"keep": ["zh"]}}],
        deduplication={"near": {"perDomain": {"poems": 0.5}}},
    ),
    "Tokenizer": tokenizer_spec(
        corpus={"pipelineRef": {"name": "a"}, "languageWeights": {"zh": 1.0}, "sampleBytes": "1G"}
    ),
    "TokenDataset": dataset_spec(),
    "PretrainJob": WHOLE_RUN,
}
HOSTILE: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63 - 1,
    2**63,
    10**30,
    1.5,
    math.nan,
    math.inf,
    "",
    "\x00\n",
    "٣",
    "9" * 5000,
    [],
    [None],
    [["x"]],
    {},
    {"name": ["x"]},
]


def places(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value in a spec."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def value_at(spec: dict[str, Any], path: Path) -> object:
    place: Any = spec
    for step in path:
        place = place[step]
    return place


def replaced(spec: dict[str, Any], path: Path, value: object) -> dict[str, Any]:
    copy = deepcopy(spec)
    place: Any = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy


@pytest.mark.parametrize("kind", WHOLE)
def test_any_value_in_any_place_is_judged_in_lines(kind: str) -> None:
    for path in places(WHOLE[kind]):
        for value in HOSTILE:
            for problem in check(kind, replaced(WHOLE[kind], path, value)):
                assert str(problem).startswith("spec")
                assert len(str(problem)) < 1000
                assert str(problem).isprintable()


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_numbers_that_the_api_server_cannot_store_are_refused_before(kind: str) -> None:
    counted = [path for path in places(WHOLE[kind]) if isinstance(value_at(WHOLE[kind], path), int)]
    for path in counted:
        with pytest.raises(InvalidManifest):
            parse(SPEC_TYPES[kind], replaced(WHOLE[kind], path, 2**63))


@pytest.mark.parametrize("kind", WHOLE)
def test_a_spec_in_which_everything_is_said_has_only_fields_that_exist(kind: str) -> None:
    problems = check(kind, WHOLE[kind])
    assert "schema" not in {problem.rule for problem in problems}, problems
