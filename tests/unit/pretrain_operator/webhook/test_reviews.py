"""Responses to AdmissionReviews: new objects, updates, junk; messages are tested elsewhere."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_object, run_spec
from pretrain_api.problems import InvalidManifest
from pretrain_operator.observed.objects import ListedObjects, ObjectReader
from pretrain_operator.webhook.planning import Planning
from pretrain_operator.webhook.server import answer_review

SPEC = run_spec()
OBJECTS = ListedObjects(
    [
        make_object("ComputeProfile", "cpu"),
        make_object("TokenDataset", "blocks"),
        make_object("Tokenizer", "tokens"),
    ]
)


def review(spec: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the AdmissionReview that the API server would send."""
    request: dict[str, Any] = {
        "uid": "1234",
        "kind": {"group": "pretrain.dev", "version": "v1alpha1", "kind": "PretrainJob"},
        "namespace": "default",
        "operation": "CREATE" if old is None else "UPDATE",
        "object": {"metadata": {"name": "run"}, "spec": spec},
    }
    if old is not None:
        request["oldObject"] = {"metadata": {"name": "run"}, "spec": old}
    return {"request": request}


def respond(value: object, objects: ObjectReader = OBJECTS) -> dict[str, Any]:
    """Return the response to a review."""
    with ThreadPoolExecutor(1) as threads:
        planning = Planning(lambda: threads, max_pending=1, timeout_seconds=60.0)
        return dict(asyncio.run(answer_review(value, objects, planning))["response"])


def test_a_good_run_is_allowed() -> None:
    response = respond(
        review({**SPEC, "checkpoint": {**SPEC["checkpoint"], "every": {"steps": 9}}})
    )
    assert response == {"uid": "1234", "allowed": True}


def test_all_errors_are_one_refusal() -> None:
    response = respond(review({**SPEC, "parallelism": {"nodes": 2, "tensor": 3, "pipeline": 5}}))
    assert response["allowed"] is False
    assert (response["status"]["code"], response["status"]["reason"]) == (422, "Invalid")
    for field in ("model.attentionHeads", "parallelism.pipeline"):
        assert f"spec.{field}: " in response["status"]["message"]


def test_objects_that_do_not_exist_yet_are_warnings() -> None:
    response = respond(review(SPEC), ListedObjects())
    assert response["allowed"] is True
    assert any("there is no TokenDataset 'blocks'" in line for line in response["warnings"])


def test_an_update_is_compared_with_the_existing_run() -> None:
    pinned = {"decay": {"tokens": SPEC["training"]["tokens"]}}
    grown = {**SPEC, "training": {**SPEC["training"], "tokens": "2M", "schedule": pinned}}
    assert respond(review(grown, old=SPEC))["allowed"] is True
    assert respond(review(SPEC, old=grown))["allowed"] is False
    other = {**SPEC, "data": {"datasetRef": {"name": "others"}}}
    assert "spec.data: cannot change" in respond(review(other, old=SPEC))["status"]["message"]


def test_labels_and_finalizers_of_a_wrong_object_may_change() -> None:
    wrong = {**SPEC, "parallelism": {"nodes": 2, "tensor": 3}}
    assert respond(review(wrong))["allowed"] is False
    assert respond(review(wrong, old=wrong)) == {"uid": "1234", "allowed": True}
    deletion = review(wrong, old=SPEC)
    deletion["request"]["object"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert respond(deletion)["allowed"] is True


def test_deletions_and_foreign_kinds_are_allowed() -> None:
    for change in ({"operation": "DELETE"}, {"kind": {"kind": "Pod"}}):
        value = review({})
        value["request"].update(change)
        assert respond(value)["allowed"] is True


def test_objects_of_other_kinds_are_checked_by_their_rules() -> None:
    value = review({"accelerator": {"perNode": 0}})
    value["request"]["kind"]["kind"] = "ComputeProfile"
    assert "spec.accelerator.perNode: " in respond(value)["status"]["message"]


@pytest.mark.parametrize("body", [[], {}, {"request": 1}, {"request": {"uid": 3}}])
def test_a_body_that_is_no_review_is_refused(body: object) -> None:
    with pytest.raises(InvalidManifest, match="no AdmissionReview"):
        respond(body)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(
    junk=JUNK,
    at=st.sampled_from(["object", "oldObject", "kind", "operation", "namespace"]),
    is_update=st.booleans(),
)
def test_no_junk_in_a_review_makes_the_webhook_fail(junk: object, at: str, is_update: bool) -> None:
    value = review(SPEC, old={**SPEC, "suspend": True} if is_update else None)
    value["request"][at] = junk
    respond(value)


@settings(deadline=None, max_examples=50)
@given(junk=JUNK, at=st.sampled_from(sorted(SPEC)))
def test_no_junk_in_a_spec_makes_the_webhook_fail(junk: object, at: str) -> None:
    respond(review({**SPEC, at: junk}))
