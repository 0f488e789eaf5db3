"""Messages of rules: advice in full, and proposals that mend the manifest once followed."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from megatron_specs import with_a_grid
from pretrain_api.rules import RULES, Severity, check
from spec_strategies import specs

ROOT = Path(__file__).resolve().parents[4]
WRONG = sorted((ROOT / "tests" / "wrong_manifests").glob("*.yaml"))
SPEC: dict[str, Any] = {
    "model": {"preset": "llama3-8b"},
    "data": {"datasetRef": {"name": "blocks"}},
    "parallelism": {"nodes": 2, "gpusPerNode": 8, "tensor": 2},
    "training": {"tokens": "100G", "sequenceLength": 4096, "globalBatchSize": 512},
    "checkpoint": {"uri": "s3://checkpoints/run"},
}


EXPERTS = {"count": 8, "ffnHiddenSize": 512}


def changed(spec: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a spec with another value at a path such as `model.headDim`."""
    copy = deepcopy(spec)
    target, (*parents, last) = copy, path.split(".")
    for name in parents:
        target = target.setdefault(name, {})
    target[last] = value
    return copy


ADVICE: dict[str, tuple[dict[str, object], str]] = {
    "tensor-in-node": (
        {"parallelism.gpusPerNode": 4, "parallelism.tensor": 8},
        "spec.parallelism.tensor: 8 is more than gpusPerNode = 4: ",
    ),
    "head-dim-kernels": (
        {"model.headDim": 512},
        "spec.model.headDim: 512: flash attention takes multiples of 8 up to 256",
    ),
    "head-groups-replicated": (
        {"parallelism.tensor": 16, "parallelism.gpusPerNode": 16},
        "spec.model.queryGroups: 8 is less than parallelism.tensor = 16: ",
    ),
    "ffn-tensor-cores": (
        {"model.ffnHiddenSize": 14340},
        "spec.model.ffnHiddenSize: 14340: a share of 2 devices is no multiple of 8, which matrix"
        " units need for full speed; use [14336, 14352]",
    ),
    "learning-rate-high": (
        {"training.optimizer": {"learningRate": 0.3}},
        "spec.training.optimizer.learningRate: 0.3 is far above what pretraining uses",
    ),
    "decay-run": (
        {"training.schedule": {"decay": {"tokens": "200G"}}},
        "spec.training.schedule.decay.tokens: 200000000000 is more than training.tokens ="
        " 100000000000: ",
    ),
    "saved-once": (
        {"checkpoint.every": {"steps": 50_000}},
        "spec.checkpoint.every.steps: 50000 steps are more than the run's 47683: ",
    ),
    "evaluated-once": (
        {"evaluation": {"everySteps": 47_684}},
        "spec.evaluation.everySteps: 47684 steps are more than the run's 47683: ",
    ),
    "expert-grid-world": (
        {
            "model.experts": {"count": 8, "ffnHiddenSize": 512},
            "parallelism.expertTensor": 4,
            "parallelism.sequence": True,
        },
        "spec.parallelism.expertTensor: 4 is more than parallelism.tensor = 2: ",
    ),
    "not-yet-expert-top": (
        {"model.experts": EXPERTS | {"topK": 1}, "parallelism.sequence": True},
        "spec.model.experts.topK: the trainer sends each token to two experts or more, for now",
    ),
    "not-yet-expert-softmax": (
        {"model.experts": EXPERTS | {"scalingFactor": 2.5}, "parallelism.sequence": True},
        "spec.model.experts.router: no exported model has a softmax router beside a shared expert,",
    ),
    "not-yet-expert-dense": (
        {"model.experts": EXPERTS | {"denseLayers": 1}, "parallelism.sequence": True},
        "spec.model.experts.denseLayers: no exported model has dense layers beside a softmax router"
        " without qkNorm, for now",
    ),
    "not-yet-expert-bias": (
        {"model.experts": EXPERTS, "model.qkvBias": True, "parallelism.sequence": True},
        "spec.model.qkvBias: no exported model has a bias beside a softmax router, for now",
    ),
    "not-yet-expert-shared": (
        {"model.experts": EXPERTS | {"router": "sigmoid"}, "parallelism.sequence": True},
        "spec.model.experts.sharedFfnHiddenSize: a sigmoid router needs a shared expert, as wide as"
        " one expert or a multiple of it, for now; use 512",
    ),
    "not-yet-expert-groups": (
        {
            "model.experts": EXPERTS
            | {
                "topK": 3,
                "groups": 4,
                "groupTopK": 2,
                "router": "sigmoid",
                "sharedFfnHiddenSize": 512,
            },
            "parallelism.sequence": True,
        },
        "spec.model.experts.groups: groups are judged by their best two experts, so topK = 3 is to"
        " be twice groupTopK = 2, for now",
    ),
    "not-yet-expert-stage": (
        {
            "model.experts": EXPERTS | {"denseLayers": 8},
            "model.qkNorm": True,
            "parallelism.pipeline": 4,
            "parallelism.sequence": True,
        },
        "spec.model.experts.denseLayers: 8 leaves the first pipeline stage without experts",
    ),
    "not-yet-bias-and-norm": (
        {"model.qkvBias": True, "model.qkNorm": True},
        "spec.model.qkvBias: no exported model has a bias beside qkNorm, for now",
    ),
    "not-yet-groups": (
        {"parallelism.tensor": 16},
        "spec.model.queryGroups: 8 is less than parallelism.tensor = 16, and the trainer's",
    ),
    "not-yet-fp8": (
        {"training.precision": "fp8"},
        "spec.training.precision: the trainer computes in bf16 or fp32 only, for now",
    ),
    "not-yet-long-context": (
        {"training.longContext": {"sequenceLength": 8192, "tokens": "1G"}},
        "spec.training.longContext: the trainer has one phase, for now",
    ),
}


@pytest.mark.parametrize("rule", ADVICE)
def test_advice_and_what_cannot_run_yet_name_field_and_values(rule: str) -> None:
    changes, want = ADVICE[rule]
    spec = SPEC
    for path, value in changes.items():
        spec = changed(spec, path, value)
    problems = check("PretrainJob", spec)
    [problem] = [problem for problem in problems if problem.rule == rule]
    assert str(problem).startswith(want)
    assert not [p for p in problems if p.severity is Severity.ERROR], problems


def test_a_stage_with_twice_its_share_is_allowed_and_with_more_is_warned_of() -> None:
    """Of 4 stages of 32 layers each has 8: 16 are twice as many."""
    spec = changed(SPEC, "parallelism.pipeline", 4)
    rules = {}
    for layers in ([16, 8, 4, 4], [17, 7, 4, 4]):
        problems = check("PretrainJob", changed(spec, "parallelism.stageLayers", layers))
        rules[layers[0]] = {problem.rule for problem in problems}
    assert "lopsided-pipeline" not in rules[16]
    assert "lopsided-pipeline" in rules[17]


def test_every_rule_that_is_no_error_has_a_case() -> None:
    advice = {rule.id for rule in RULES["PretrainJob"] if rule.severity is not Severity.ERROR}
    assert advice == {*ADVICE, "lopsided-pipeline"}


PROPOSED = re.compile(r"use (?:(tensor|pipeline|virtualPipeline) )?\[([0-9, ]+)\]( devices)?")


def proposals(rule_field: str, message: str) -> list[tuple[str, int]]:
    """Return the fields and values that a message proposes; devices as their number of nodes."""
    match = PROPOSED.search(message)
    if match is None:
        return []
    degree, values, devices = match.groups()
    field = rule_field.removeprefix("spec.")
    if degree:
        field = f"parallelism.{degree}"
    if devices:
        field = "devices"
    return [(field, int(value)) for value in values.split(",")]


def followed(spec: dict[str, Any], field: str, value: int) -> dict[str, Any]:
    if field != "devices":
        return changed(spec, field, value)
    return changed(changed(spec, "parallelism.nodes", value), "parallelism.gpusPerNode", 1)


def unmended(spec: dict[str, Any]) -> tuple[list[str], set[str]]:
    """Return the proposals that do not mend what they are made for, and the rules that made any."""
    useless, rules = [], set()
    for problem in check("PretrainJob", spec):
        for field, value in proposals(problem.field, problem.message):
            rules.add(problem.rule)
            left = {other.rule for other in check("PretrainJob", followed(spec, field, value))}
            if problem.rule in left or "schema" in left:
                useless.append(f"{problem}: {field} {value}")
    return useless, rules


def test_the_proposals_about_wrong_manifests_mend_them() -> None:
    proposing = set()
    for path in WRONG:
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
        if manifest["kind"] == "PretrainJob":
            useless, rules = unmended(manifest["spec"])
            assert not useless, path.name
            proposing |= rules
    assert len(proposing) >= 15


@settings(max_examples=60)
@given(spec=specs().map(with_a_grid))
def test_a_proposal_mends_any_spec(spec: dict[str, Any]) -> None:
    useless, _ = unmended(spec)
    assert not useless


@settings(max_examples=60)
@given(spec=specs())
def test_a_message_has_all_its_values_and_starts_with_its_field(spec: dict[str, Any]) -> None:
    fields = {rule.id: rule.field for rule in RULES["PretrainJob"]}
    for problem in check("PretrainJob", spec):
        assert not re.search(r"%[ds]", problem.message)
        if problem.rule != "schema":
            assert str(problem).startswith(f"spec.{fields[problem.rule]}: ")
