"""Changes of a run: some fields may change while it runs, all others never."""

from copy import deepcopy
from typing import Any

import pytest

from builders import run_spec
from pretrain_api.problems import parse
from pretrain_api.rules import RULES, check_change
from pretrain_api.v1alpha1.pretrainjob import CheckpointSpec, PretrainJobSpec
from pretrain_api.v1alpha1.training import Decay, ScheduleSpec, TrainingSpec

FULL: dict[str, Any] = {
    **run_spec(),
    "profileRef": {"name": "nodes"},
    "suspend": False,
    "ttlAfterFinished": "1h",
    "recovery": {"budgets": {"user": {"max": 1}}},
    "evaluation": {"everySteps": 10},
    "export": {"huggingFace": {"uri": "s3://models"}},
    "initialize": {"huggingFace": {"uri": "s3://llama"}},
}
FULL["training"] = {**FULL["training"], "microBatchSize": 1, "recompute": "full", "seed": 1}
FULL["training"]["schedule"] = {"warmup": {"tokens": 0}, "decay": {}}
FULL["checkpoint"] = {"uri": "s3://c", "every": {"steps": 10}, "keep": {"last": 2}}


def at(spec: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a spec with another value at a path; `None` removes the field."""
    copy = deepcopy(spec)
    target, (*parents, last) = copy, path.split(".")
    for name in parents:
        target = target[name]
    target.pop(last, None)
    if value is not None:
        target[last] = value
    return copy


def problems(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    parsed = (parse(PretrainJobSpec, spec) for spec in (old, new))
    return [str(problem) for problem in check_change("PretrainJob", *parsed)]


ALLOWED: dict[str, object] = {
    "suspend": True,
    "ttlAfterFinished": "2h",
    "recovery": {"budgets": {"infrastructure": {"max": 3, "window": "1d"}}},
    "evaluation": {"prompts": ["a"]},
    "checkpoint.every": {"minutes": 5},
    "checkpoint.keep": {"everySteps": 100},
    "checkpoint.gracePeriod": "10m",
    "training.schedule.decay.tokens": "1M",
}


@pytest.mark.parametrize("path", ALLOWED)
def test_what_may_change_may_be_set_changed_and_mostly_unset(path: str) -> None:
    other = at(FULL, path, ALLOWED[path])
    assert problems(FULL, other) == []
    unset = at(FULL, path, None)
    assert problems(FULL, unset) == problems(unset, FULL) == []


REFUSED: dict[str, object] = {
    "model": {**FULL["model"], "layers": 8},
    "data": {"datasetRef": {"name": "others"}},
    "parallelism": {"nodes": 4, "tensor": 2, "pipeline": 2},
    "profileRef": {"name": "others"},
    "export": {"huggingFace": {"uri": "s3://others"}},
    "initialize": {"huggingFace": {"uri": "s3://others"}},
    "training.sequenceLength": 256,
    "training.globalBatchSize": 16,
    "training.microBatchSize": 2,
    "training.recompute": "none",
    "training.precision": "bf16",
    "training.seed": 2,
    "training.optimizer": {"learningRate": 1e-4},
    "training.schedule.warmup": {"tokens": 1},
    "training.schedule.decay.shape": "linear",
    "training.schedule.anneal": {"tokens": 8192},
    "training.batchSchedule": [{"fromTokens": 8192, "globalBatchSize": 16}],
    "training.longContext": {"sequenceLength": 256, "tokens": 8192},
    "checkpoint.uri": "s3://others",
    "checkpoint.credentialsSecretRef": {"name": "others"},
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_a_run_is_bound_to_cannot_change_and_is_named(path: str) -> None:
    [problem] = problems(FULL, at(FULL, path, REFUSED[path]))
    assert problem.startswith(f"spec.{path}: cannot change once the object exists; make a new")
    assert "training.tokens" in problem


OPTIONAL = [
    "parallelism",
    "profileRef",
    "export",
    "initialize",
    "training.microBatchSize",
    "training.recompute",
    "training.seed",
]


@pytest.mark.parametrize("path", OPTIONAL)
def test_a_field_can_be_neither_added_nor_removed(path: str) -> None:
    """A default may change with a version, so an unset field is not the same as its default."""
    unset = at(FULL, path, None)
    for old, new in ((FULL, unset), (unset, FULL)):
        [problem] = problems(old, new)
        assert problem.startswith(f"spec.{path}: cannot change")


def test_every_field_may_change_or_has_a_case_that_it_may_not() -> None:
    models = (
        (PretrainJobSpec, ""),
        (TrainingSpec, "training."),
        (ScheduleSpec, "training.schedule."),
        (Decay, "training.schedule.decay."),
        (CheckpointSpec, "checkpoint."),
    )
    fields = {f"{prefix}{f.alias}" for m, prefix in models for f in m.model_fields.values()}
    parts = {"training", "training.schedule", "training.schedule.decay", "checkpoint"}
    assert fields - parts == set(ALLOWED) | set(REFUSED) | {"training.tokens"}


@pytest.mark.parametrize("tokens", ["1M", 1_000_000, "1000k", "1G"])
def test_a_run_may_grow_and_its_length_may_be_written_otherwise(tokens: int | str) -> None:
    pinned = at(at(FULL, "training.tokens", tokens), "training.schedule.decay.tokens", "1M")
    assert problems(FULL, pinned) == []


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_a_run_may_not_grow_if_its_learning_rate_would_jump(shape: str) -> None:
    old = at(FULL, "training.schedule.decay.shape", shape)
    [problem] = problems(old, at(old, "training.tokens", "2M"))
    assert problem.startswith(
        "spec.training.tokens: grows from 1000000 to 2000000, and the end of the decay with it"
    )


@pytest.mark.parametrize("shape", ["constant", "wsd"])
def test_a_run_with_a_flat_rate_may_grow_alone(shape: str) -> None:
    old = at(FULL, "training.schedule.decay.shape", shape)
    assert problems(old, at(old, "training.tokens", "2M")) == []


def test_a_run_may_not_shrink() -> None:
    [problem] = problems(FULL, at(FULL, "training.tokens", 999_999))
    want = "999999 is less than before, 1000000; a run may grow, not shrink"
    assert problem == f"spec.training.tokens: {want}"


def test_all_refused_changes_are_named_at_once() -> None:
    new = at(at(FULL, "training.seed", 9), "checkpoint.uri", "s3://x")
    new = at(new, "training.tokens", 1)
    assert len(problems(FULL, new)) == 3


def test_other_kinds_may_change_in_any_field() -> None:
    for kind, rules in RULES.items():
        assert kind == "PretrainJob" or not [rule for rule in rules if rule.is_transition]
