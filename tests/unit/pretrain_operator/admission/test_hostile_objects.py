"""Admission of objects that users write by mistake, beside objects that are broken."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    dataset_spec,
    make_object,
    parsed_run,
    pipeline_spec,
    profile_spec,
    ready_status,
    run_spec,
    tokenizer_spec,
)
from pretrain_api.conditions import Reason
from pretrain_api.meta import DEFAULT_PROFILE_ANNOTATION, Reference
from pretrain_operator.admission.objects import object_problems, refusals
from pretrain_operator.admission.profiles import choose_profile
from pretrain_operator.admission.related_objects import related_objects
from pretrain_operator.admission.runs import AdmissionRequest, admission_request, admit_unplanned
from pretrain_operator.observed.errors import DependencyNotReady
from pretrain_operator.observed.objects import Key, ListedObjects, ObservedObject

Json = dict[str, Any]

SPECS = {
    "ComputeProfile": profile_spec(),
    "DataPipeline": pipeline_spec(),
    "Tokenizer": tokenizer_spec(),
    "TokenDataset": dataset_spec(),
    "PretrainJob": run_spec(),
}

junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@st.composite
def spoiled(draw: st.DrawFn, kind: str) -> Json:
    """Give a spec of which one value, at any depth, is replaced, added or removed."""

    def spoil(value: object) -> object:
        if isinstance(value, dict) and value and draw(st.integers(0, 3)):
            name = draw(st.sampled_from(sorted(value)))
            if not draw(st.integers(0, 4)):
                return {key: item for key, item in value.items() if key != name}
            return {**value, name: spoil(value[name])}
        if isinstance(value, list) and value and draw(st.booleans()):
            return [spoil(value[0]), *value[1:]]
        return {**value, draw(st.text(max_size=8)): 1} if isinstance(value, dict) else draw(junk)

    spec = spoil(SPECS[kind])
    return spec if isinstance(spec, dict) else {}


@settings(max_examples=120)
@given(st.data(), st.sampled_from(sorted(SPECS)), st.text(max_size=70))
def test_every_problem_is_one_line_that_begins_with_its_field(
    data: st.DataObject, kind: str, name: str
) -> None:
    spec = data.draw(spoiled(kind))
    lines = refusals(object_problems(kind, name, spec))
    for line in lines:
        field, colon, message = line.partition(": ")
        assert field.startswith(("spec", "metadata.name"))
        assert colon
        assert message
        assert len(message) < 2000
    assert all("\n" not in line for line in lines if not any("\n" in key for key in _keys(spec)))
    assert lines == refusals(object_problems(kind, name, spec)), "the same lines each time"


def _keys(value: object) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for item in value.values() for key in _keys(item))]
    return [key for item in value for key in _keys(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("kind", sorted(SPECS))
def test_the_specs_of_the_builders_are_accepted(kind: str) -> None:
    """Else the test above would test nothing but one wrong field."""
    assert refusals(object_problems(kind, "x", SPECS[kind])) == []


@settings(max_examples=100)
@given(st.data())
def test_broken_related_objects_are_named_and_never_fatal(data: st.DataObject) -> None:
    objects = []
    for kind, name in (("ComputeProfile", "cpu"), ("TokenDataset", "blocks"), ("Tokenizer", "tok")):
        if data.draw(st.booleans(), label=f"{kind} exists"):
            spec = data.draw(spoiled(kind) | st.just(SPECS[kind]), label=kind)
            summary = data.draw(junk | st.just({"sequenceLength": 128, "vocabularySize": 9}))
            status = {**ready_status(name), "summary": summary}
            objects.append(make_object(kind, name, spec=spec, status=status))
    related = related_objects(parsed_run(), "default", ListedObjects(objects))
    kinds = {item.key.kind for item in objects}
    assert related.profile is None or "ComputeProfile" in kinds
    assert related.dataset is None or "TokenDataset" in kinds
    assert related.missing or (related.profile and related.dataset and related.vocabulary)
    result = admit_unplanned(AdmissionRequest("run", parsed_run(), related), "no time")
    assert result.missing == (*related.missing, "no time")


@settings(max_examples=60)
@given(st.data(), st.sampled_from(sorted(SPECS)))
def test_a_spec_with_wrong_types_is_a_result_and_not_a_request(
    data: st.DataObject, kind: str
) -> None:
    spec = data.draw(spoiled(kind))
    answer = admission_request(Key(kind, "default", "x"), spec, ListedObjects())
    if isinstance(answer, AdmissionRequest):
        assert kind == "PretrainJob"
        assert answer == admission_request(Key(kind, "default", "x"), spec, ListedObjects())
    else:
        assert answer.errors == refusals(object_problems(kind, "x", spec))
        assert kind != "PretrainJob" or answer.errors


def profile(name: str, mark: str | None, per_node: int) -> ObservedObject:
    annotations = {} if mark is None else {DEFAULT_PROFILE_ANNOTATION: mark}
    spec = {"accelerator": {"name": "x", "perNode": per_node}}
    return make_object("ComputeProfile", name, annotations=annotations, spec=spec)


@given(
    st.lists(st.sampled_from([None, "true", "false", "True", ""]), max_size=4),
    st.none() | st.integers(0, 4),
)
def test_the_choice_of_a_profile_does_not_depend_on_the_order_of_the_list(
    marks: list[str | None], named: int | None
) -> None:
    profiles = [profile(f"p{number}", mark, number + 1) for number, mark in enumerate(marks)]
    ref = None if named is None else Reference(name=f"p{named}")
    defaults = [number for number, mark in enumerate(marks) if mark == "true"]
    candidates = defaults or list(range(len(marks)))
    if named is None:
        want = candidates[0] if len(candidates) == 1 else None
    else:
        want = named if named < len(marks) else None
    for order in permutations(profiles):
        if want is None:
            with pytest.raises(DependencyNotReady, match=r"^spec\.profileRef") as caught:
                choose_profile(ref, order, "default")
            assert caught.value.reason is Reason.PROFILE_NOT_FOUND
        else:
            assert choose_profile(ref, order, "default").accelerator.per_node == want + 1


def test_a_default_that_is_invalid_is_not_replaced_by_another_profile() -> None:
    """A run on other nodes than those that were meant would be worse than a run that waits."""
    broken = make_object(
        "ComputeProfile",
        "gpu",
        annotations={DEFAULT_PROFILE_ANNOTATION: "true"},
        spec={"accelerator": {"perNode": 0}},
    )
    with pytest.raises(
        DependencyNotReady, match=r"ComputeProfile gpu is invalid: spec\.accelerator"
    ):
        choose_profile(None, [broken, profile("cpu", None, 1)], "default")


@given(st.text(max_size=70))
def test_an_accepted_name_can_be_the_label_of_every_child(name: str) -> None:
    is_accepted = not refusals(object_problems("PretrainJob", name, run_spec()))
    is_label = 0 < len(name) <= 63 and name.isascii() and name[0].isalnum() and name[-1].isalnum()
    is_label = is_label and all(char.isalnum() or char in "-." for char in name)
    assert not is_accepted or is_label
    assert is_accepted == (is_label and name == name.lower())
