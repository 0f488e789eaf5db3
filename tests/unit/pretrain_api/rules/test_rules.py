"""The rules themselves: complete, unique, cheap enough for an API server, and total."""

import json
from typing import Any

import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.kinds import KINDS, PRETRAIN_JOB
from pretrain_api.problems import parse
from pretrain_api.rules import RULES, Problem, Severity, check, check_change
from pretrain_api.rules.expressions import field
from pretrain_api.schema import crd
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from spec_strategies import specs

ALL = [(kind, rule) for kind, rules in RULES.items() for rule in rules]
ANNOTATION_LIMIT = 262_144
"""Bytes of a `kubectl apply` annotation, which holds the whole CRD."""

SPEC: dict[str, Any] = {
    "model": {"preset": "llama3-8b"},
    "data": {"datasetRef": {"name": "blocks"}},
    "parallelism": {"nodes": 2, "gpusPerNode": 8, "tensor": 2},
    "training": {"tokens": "100G", "sequenceLength": 4096, "globalBatchSize": 512},
    "checkpoint": {"uri": "s3://checkpoints/run"},
}


@pytest.mark.parametrize(("kind", "rule"), ALL, ids=[f"{kind}-{rule.id}" for kind, rule in ALL])
def test_a_rule_is_complete(kind: str, rule: Any) -> None:
    spec = next(k.spec for k in KINDS if k.name == kind)
    cel.compile(rule.holds)
    if rule.message_expression:
        cel.compile(rule.message_expression)
    assert rule.message.count("%") == len(rule.values)
    if rule.severity is Severity.ERROR:
        assert rule.source
        assert rule.otherwise
    first = rule.field.split(".")[0]
    assert first in {info.alias for info in spec.model_fields.values()}


def test_rule_ids_are_unique() -> None:
    for kind, rules in RULES.items():
        ids = [rule.id for rule in rules]
        assert len(ids) == len(set(ids)), kind


def test_the_crd_fits_into_the_annotation_of_kubectl_apply() -> None:
    assert len(json.dumps(crd(PRETRAIN_JOB))) < ANNOTATION_LIMIT


def test_the_crd_carries_errors_and_changes_but_no_advice() -> None:
    spec = crd(PRETRAIN_JOB)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
        "spec"
    ]
    texts = {rule["rule"] for rule in spec["x-kubernetes-validations"]}
    for rule in RULES["PretrainJob"]:
        assert (rule.holds in texts) is (rule.severity is Severity.ERROR)


def test_a_usual_run_has_no_problem() -> None:
    assert check("PretrainJob", SPEC) == []


def test_a_parsed_spec_and_its_manifest_break_the_same_rules() -> None:
    wrong = {**SPEC, "parallelism": {**SPEC["parallelism"], "tensor": 3}}
    assert check("PretrainJob", parse(PretrainJobSpec, wrong)) == check("PretrainJob", wrong)
    assert len(check("PretrainJob", wrong)) >= 3


def test_an_error_names_field_value_and_what_would_do() -> None:
    shape = {"layers": 8, "hiddenSize": 3840, "ffnHiddenSize": 8192, "attentionHeads": 30}
    wrong = {**SPEC, "model": shape, "parallelism": {"tensor": 4}}
    [first, *_] = check("PretrainJob", wrong)
    want = "30 is not divisible by parallelism.tensor = 4; use tensor [1, 2, 3, 5, 6, 10, 15, 30]"
    assert str(first) == f"spec.model.attentionHeads: {want}"


def test_degrees_left_to_the_planner_break_no_rule_about_the_grid() -> None:
    layout = {"nodes": 2048, "gpusPerNode": 8}
    assert check("PretrainJob", {**SPEC, "parallelism": layout}) == []


def test_what_the_trainer_cannot_do_is_refused_in_its_own_words() -> None:
    training = {**SPEC["training"], "precision": "fp8"}
    [problem] = check("PretrainJob", {**SPEC, "training": training})
    assert problem.severity is Severity.NOT_YET
    assert problem.is_refusal


def test_advice_does_not_refuse() -> None:
    training = {**SPEC["training"], "optimizer": {"learningRate": 3}}
    [problem] = check("PretrainJob", {**SPEC, "training": training})
    assert problem.severity is Severity.WARNING
    assert not problem.is_refusal


def test_a_change_of_what_a_run_is_bound_to_is_refused() -> None:
    old = parse(PretrainJobSpec, SPEC)
    new = parse(PretrainJobSpec, {**SPEC, "data": {"datasetRef": {"name": "others"}}})
    assert [problem.rule for problem in check_change("PretrainJob", old, new)] == ["immutable-data"]
    assert check_change("PretrainJob", old, old) == []


def test_a_default_has_one_home() -> None:
    assert field("training.optimizer.minLearningRate").endswith(": 3e-05)")
    with pytest.raises(ValueError, match="needs a default"):
        field("training.longContext.globalBatchSize")


@settings(deadline=None, max_examples=50)
@given(spec=specs())
def test_any_plausible_spec_is_checked_without_an_exception(spec: dict[str, Any]) -> None:
    for problem in check("PretrainJob", spec):
        assert isinstance(problem, Problem)
        assert problem.field.startswith("spec")
        assert "\n" not in str(problem)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)


@settings(deadline=None, max_examples=50)
@given(kind=st.sampled_from([kind.name for kind in KINDS]), spec=specs(), junk=JSON, data=st.data())
def test_no_junk_makes_the_check_raise(
    kind: str, spec: dict[str, Any], junk: object, data: st.DataObject
) -> None:
    top = data.draw(st.sampled_from(sorted(spec)))
    inner = dict(spec[top]) if isinstance(spec[top], dict) else {}
    inner[data.draw(st.sampled_from([*sorted(inner), "unknown"]))] = junk
    check(kind, {**spec, top: data.draw(st.sampled_from([junk, inner]))})


@pytest.mark.parametrize("tokens", [10**15, 10**18, "1P", "1000P", 10**18 + 1, 2**63 - 1])
def test_every_quantity_up_to_the_largest_is_judged(tokens: int | str) -> None:
    problems = check("PretrainJob", {**SPEC, "training": {**SPEC["training"], "tokens": tokens}})
    is_too_large = any("larger than" in str(problem) for problem in problems)
    assert is_too_large == (tokens in (10**18 + 1, 2**63 - 1))


def test_crds_are_as_kubernetes_reads_them() -> None:
    for kind in KINDS:
        text = json.dumps(crd(kind))
        assert "propertyNames" not in text
        assert "patternProperties" not in text
