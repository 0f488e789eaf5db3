"""The API server's CEL and ours are one: the same specs pass, and the same sentences come back."""

import copy
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from api_server import ApiServer
from pretrain_api.problems import parse
from pretrain_api.rules import Severity, check, check_change
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.admission.objects import name_problems
from spec_strategies import specs

pytestmark = pytest.mark.integration

EXAMPLES = 2000

SPEC = {
    "model": {"preset": "llama3-8b"},
    "data": {"datasetRef": {"name": "blocks"}},
    "parallelism": {"nodes": 2, "gpusPerNode": 8, "tensor": 2},
    "training": {"tokens": "100G", "sequenceLength": 4096, "globalBatchSize": 512},
    "checkpoint": {"uri": "s3://checkpoints/run"},
}


def _errors(spec: dict[str, Any]) -> list[str]:
    problems = check("PretrainJob", spec)
    if any(p.rule == "schema" for p in problems):
        return ["schema"]
    return sorted(str(p) for p in problems if p.severity is Severity.ERROR)


def test_api_server_and_python_say_the_same_of_thousands_of_specs(api_server: ApiServer) -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(spec=specs())
    def compare(spec: dict[str, Any]) -> None:
        ours = _errors(spec)
        response = api_server.create("PretrainJob", spec)
        assert response.is_accepted == (not ours), (ours, response.causes)
        if ours != ["schema"]:
            assert sorted(response.causes) == ours
        seen["accepted" if not ours else "schema" if ours == ["schema"] else "rules"] += 1

    compare()
    assert seen["accepted"] >= EXAMPLES // 20, seen
    assert seen["rules"] >= EXAMPLES // 4, seen


def test_a_name_that_no_label_can_hold_is_refused_in_the_same_words(api_server: ApiServer) -> None:
    assert api_server.create("PretrainJob", SPEC, name="x" * 63).is_accepted
    (ours,) = name_problems("x" * 64)
    response = api_server.create("PretrainJob", SPEC, name="x" * 64)
    assert [cause.removeprefix("<nil>: ") for cause in response.causes] == [str(ours)]


CHANGES: dict[str, tuple[dict[str, Any], bool]] = {
    "more tokens": ({"training": {"tokens": "200G"}}, False),
    "more tokens, and the end of the decay": (
        {"training": {"tokens": "200G", "schedule": {"decay": {"tokens": "100G"}}}},
        True,
    ),
    "a warm-up": ({"training": {"schedule": {"warmup": {"tokens": "1G"}}}}, False),
    "another shape": ({"training": {"schedule": {"decay": {"shape": "linear"}}}}, False),
    "fewer tokens": ({"training": {"tokens": "50G"}}, False),
    "the same tokens, written otherwise": ({"training": {"tokens": 100_000_000_000}}, True),
    "another batch": ({"training": {"globalBatchSize": 1024}}, False),
    "another optimizer": ({"training": {"optimizer": {"learningRate": 0.001}}}, False),
    "a micro-batch that was not said": ({"training": {"microBatchSize": 2}}, False),
    "another preset": ({"model": {"preset": "llama2-7b"}}, False),
    "another layout": ({"parallelism": {"tensor": 4}}, False),
    "another dataset": ({"data": {"datasetRef": {"name": "others"}}}, False),
    "another profile": ({"profileRef": {"name": "h100"}}, False),
    "an export": ({"export": {"huggingFace": {"uri": "s3://m/m"}}}, False),
    "another checkpoint folder": ({"checkpoint": {"uri": "s3://checkpoints/other"}}, False),
    "saving more often": ({"checkpoint": {"every": {"steps": 10}}}, True),
    "keeping more": ({"checkpoint": {"keep": {"last": 10}}}, True),
    "an evaluation": ({"evaluation": {"everySteps": 100}}, True),
    "a budget": ({"recovery": {"budgets": {"user": {"max": 5}}}}, True),
    "a pause": ({"suspend": True}, True),
    "an end of life": ({"ttlAfterFinished": "7d"}, True),
}


def _merged(spec: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(spec)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def test_a_run_stays_what_it_was_but_for_what_may_change(api_server: ApiServer) -> None:
    assert api_server.create("PretrainJob", SPEC, dry_run=False).is_accepted
    try:
        old = parse(PretrainJobSpec, SPEC)
        for name, (change, want) in CHANGES.items():
            changed = _merged(SPEC, change)
            response = api_server.change("PretrainJob", changed)
            assert response.is_accepted is want, (name, response.causes)
            ours = check_change("PretrainJob", old, parse(PretrainJobSpec, changed))
            assert sorted(response.causes) == sorted(str(problem) for problem in ours), name
    finally:
        api_server.delete("PretrainJob")
