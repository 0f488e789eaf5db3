"""Answers to AdmissionReviews: the same errors, what other objects say, and warnings."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.problems import InvalidManifest
from pretrain_operator.webhook.reviews import World, answer_review

SPEC: dict[str, Any] = {
    "profileRef": {"name": "h100"},
    "model": {"preset": "llama3-8b"},
    "data": {"datasetRef": {"name": "blocks"}},
    "parallelism": {"nodes": 2, "tensor": 2, "pipeline": 2},
    "training": {
        "tokens": "100G",
        "sequenceLength": 4096,
        "globalBatchSize": 512,
        "microBatchSize": 4,
    },
    "checkpoint": {"uri": "s3://checkpoints/run"},
}
DATASET: dict[str, Any] = {
    "spec": {
        "tokenizerRef": {"name": "tokens"},
        "mixture": [{"pipelineRef": {"name": "web"}}],
        "tokens": "100G",
        "sequenceLength": 4096,
        "output": {"uri": "s3://corpus/blocks"},
    },
    "status": {"summary": {"tokens": 10**11, "sequenceLength": 4096, "vocabularySize": 64000}},
}
PROFILE = {"spec": {"accelerator": {"name": "h100", "perNode": 8}}}
WORLD = World({"h100": PROFILE}, {("team", "blocks"): DATASET})


def review(
    spec: dict[str, Any], old: dict[str, Any] | None = None, name: str = "run"
) -> dict[str, Any]:
    """Return what the API server would ask."""
    request: dict[str, Any] = {
        "uid": "1234",
        "kind": {"group": "pretrain.dev", "version": "v1alpha1", "kind": "PretrainJob"},
        "namespace": "team",
        "operation": "CREATE" if old is None else "UPDATE",
        "object": {"metadata": {"name": name}, "spec": spec},
    }
    if old is not None:
        request["oldObject"] = {"metadata": {"name": name}, "spec": old}
    return {"request": request}


def answered(spec: dict[str, Any], world: World = WORLD, **other: Any) -> dict[str, Any]:
    """Return the response to a spec."""
    response = answer_review(review(spec, **other), world)["response"]
    assert response["uid"] == "1234"
    return dict(response)


def test_a_good_run_is_allowed_without_a_word() -> None:
    assert answered(SPEC) == {"uid": "1234", "allowed": True}


def test_all_errors_are_said_at_once() -> None:
    layout = {"nodes": 2, "tensor": 3, "pipeline": 5}
    response = answered({**SPEC, "parallelism": layout})
    assert response["allowed"] is False
    for field in ("model.attentionHeads", "model.ffnHiddenSize", "parallelism.pipeline"):
        assert f"spec.{field}: " in response["status"]["message"]


def test_too_little_memory_is_refused_with_what_fits() -> None:
    response = answered({**SPEC, "model": {"preset": "llama3-405b"}, "parallelism": {"nodes": 1}})
    assert response["allowed"] is False
    assert "memory" in response["status"]["message"]


def test_a_dataset_of_other_sequences_or_more_ids_is_refused() -> None:
    training = {**SPEC["training"], "sequenceLength": 8192}
    assert "sequenceLength" in answered({**SPEC, "training": training})["status"]["message"]
    model = {"preset": "llama3-8b", "vocabularySize": 1024}
    assert "vocabularySize" in answered({**SPEC, "model": model})["status"]["message"]


def test_more_tokens_than_the_dataset_has_are_a_warning() -> None:
    training = {**SPEC["training"], "tokens": "200G"}
    response = answered({**SPEC, "training": training})
    assert response["allowed"] is True
    assert "more than the 100000000000 tokens" in response["warnings"][0]


def test_objects_that_do_not_exist_yet_are_warnings() -> None:
    response = answered(SPEC, World())
    assert response["allowed"] is True
    assert len(response["warnings"]) == 2
    assert all(len(line) <= 120 for line in response["warnings"])


def test_a_change_is_held_against_the_run_that_exists() -> None:
    grown = {**SPEC, "training": {**SPEC["training"], "tokens": "200G"}}
    assert answered(grown, old=SPEC)["allowed"] is True
    assert answered(SPEC, old=grown)["allowed"] is False
    other = {**SPEC, "data": {"datasetRef": {"name": "others"}}}
    assert "spec.data: cannot change" in answered(other, old=SPEC)["status"]["message"]


def test_a_name_that_cannot_be_a_label_is_refused() -> None:
    assert "metadata.name" in answered(SPEC, name="x" * 64)["status"]["message"]


def test_a_deletion_and_a_foreign_kind_are_no_concern() -> None:
    for change in ({"operation": "DELETE"}, {"kind": {"kind": "Pod"}}):
        asked = review({})
        asked["request"].update(change)
        assert answer_review(asked, WORLD)["response"]["allowed"] is True


@pytest.mark.parametrize("body", [{}, {"request": 1}, {"request": {"uid": 3}}])
def test_a_body_that_is_no_review_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest):
        answer_review(body, WORLD)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(junk=JUNK, at=st.sampled_from(["object", "oldObject", "kind", "operation", "namespace"]))
def test_no_junk_in_a_review_makes_the_webhook_fail(junk: object, at: str) -> None:
    asked = review(SPEC, old=SPEC)
    asked["request"][at] = junk
    answer_review(asked, WORLD)
