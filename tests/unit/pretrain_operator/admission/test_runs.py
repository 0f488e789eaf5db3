"""Admission of a run: all problems at once; a run that has started keeps its layout."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import gpu_profile_spec, run_spec
from pretrain_api.formulas.steps import steps_of
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.admission.related_objects import DatasetInfo, RelatedObjects
from pretrain_operator.admission.runs import AdmissionRequest, admit, admit_unplanned, keep_layout
from spec_strategies import specs

TWO = ComputeProfileSpec.model_validate({"accelerator": {"name": "cpu", "perNode": 2}})
GPUS = ComputeProfileSpec.model_validate(gpu_profile_spec())
BLOCKS = DatasetInfo("blocks", sequence_length=128, tokens=10**6)
RELATED = RelatedObjects(profile=TWO, dataset=BLOCKS, vocabulary=512)


def _spec(**layout: int) -> PretrainJobSpec:
    return parse(PretrainJobSpec, run_spec(parallelism={"nodes": 2, **layout}))


def _trained(model: str | None = None, **training: Any) -> PretrainJobSpec:
    changes: dict[str, Any] = {"training": {**run_spec()["training"], **training}}
    if model is not None:
        changes["model"] = {"preset": model}
    return parse(PretrainJobSpec, run_spec(**changes))


def test_a_run_without_degrees_gets_those_of_its_plan() -> None:
    result = admit(AdmissionRequest("run", _spec(), RELATED))
    assert result.errors == []
    assert result.plan is not None
    assert result.spec is not None
    assert result.spec.parallelism == result.plan.parallelism
    assert not result.spec.parallelism.is_left_to_planner


def test_degrees_of_the_manifest_are_kept() -> None:
    result = admit(AdmissionRequest("run", _spec(tensor=2), RELATED))
    assert result.spec is not None
    assert result.spec.model_dump() == _spec(tensor=2).model_dump()


def test_equal_requests_share_a_memoised_result() -> None:
    assert admit(AdmissionRequest("run", _spec(tensor=2), RELATED)) is admit(
        AdmissionRequest("run", _spec(tensor=2), RELATED)
    )
    assert admit(AdmissionRequest("run", _spec(tensor=2), RELATED)) is not admit(
        AdmissionRequest("other", _spec(tensor=2), RELATED)
    )


def test_a_run_that_has_started_keeps_its_layout() -> None:
    first = admit(AdmissionRequest("run", _spec(), RELATED))
    assert first.plan is not None
    later = keep_layout(_spec(), first.plan)
    assert later.spec == first.spec
    assert later.plan == first.plan


def test_a_run_that_gets_more_tokens_has_a_new_duration() -> None:
    first = admit(
        AdmissionRequest(
            "run", _trained(tokens="100G", precision="bf16"), RelatedObjects(profile=GPUS)
        )
    ).plan
    assert first is not None
    assert first.days
    longer = _trained(tokens="200G", precision="bf16")
    later = keep_layout(longer, first).plan
    assert later is not None
    assert later.steps == steps_of(longer.training).count > first.steps
    assert later.days == pytest.approx(2 * first.days, rel=0.01)
    assert later.parallelism == first.parallelism


def test_more_devices_than_the_profile_has_are_refused_with_the_number() -> None:
    [error] = admit(AdmissionRequest("run", _spec(gpusPerNode=4), RELATED)).errors
    assert error == (
        "spec.parallelism.gpusPerNode: 4 is more than spec.accelerator.perNode = 2 of the"
        " ComputeProfile; use at most 2"
    )


def test_a_run_that_does_not_fit_its_dataset_is_refused_with_the_remedy() -> None:
    model = {**run_spec()["model"], "vocabularySize": 500}
    spec = parse(PretrainJobSpec, run_spec(model=model))
    related = replace(RELATED, dataset=DatasetInfo("blocks", 256, 10**5))
    result = admit(AdmissionRequest("run", spec, related))
    assert result.errors == [
        "spec.model.vocabularySize: 500 is less than the tokenizer's 512 ids; use 512 or more,"
        " or leave it out",
        "spec.training.sequenceLength: 128 is not the sequenceLength of TokenDataset blocks, 256;"
        " use 256, or change that of the dataset",
    ]
    assert result.plan is not None
    assert result.plan.warnings == result.warnings
    assert (
        "spec.training.tokens: 1000000 is more than the 100000 tokens of TokenDataset blocks;"
        " its stream would be read again"
    ) in result.warnings


def test_no_error_hides_another_one() -> None:
    related = RelatedObjects(
        profile=GPUS,
        dataset=DatasetInfo("blocks", 4096, 10**6, unique_tokens=10),
        vocabulary=512,
    )
    spec = _trained("llama3-405b", sequenceLength=8192, precision="bf16")
    result = admit(AdmissionRequest("Run", spec, related))
    fields = [error.partition(":")[0] for error in result.errors]
    assert set(fields) >= {
        "metadata.name",
        "spec.parallelism",  # memory
        "spec.training.sequenceLength",
    }
    assert any("epochs over" in line for line in result.warnings)


def test_without_a_profile_the_rules_and_the_dataset_still_hold() -> None:
    absent = replace(RELATED, profile=None, missing=("there is no ComputeProfile",))
    result = admit(AdmissionRequest("run", _spec(), absent))
    assert (result.errors, result.plan) == ([], None)
    assert result.missing[0] == "there is no ComputeProfile"
    assert admit(AdmissionRequest("run", _spec(gpusPerNode=4, tensor=3), absent)).errors
    training = _trained(sequenceLength=64)
    assert "sequenceLength" in admit(AdmissionRequest("run", training, absent)).errors[0]


def test_without_a_plan_all_other_checks_are_made() -> None:
    spec = _trained(sequenceLength=64)
    result = admit_unplanned(AdmissionRequest("Run", spec, RELATED), "too busy")
    assert result.errors == admit(AdmissionRequest("Run", spec, RELATED)).errors
    assert result.missing == ("too busy",)
    assert result.plan is None


ANY_RELATED = st.builds(
    RelatedObjects,
    profile=st.sampled_from([None, TWO, GPUS]),
    dataset=st.none()
    | st.builds(
        DatasetInfo,
        st.just("blocks"),
        st.sampled_from([1, 4096, 2**24]),
        st.sampled_from([0, 1, 10**12]),
        st.sampled_from([None, 1, 10**12]),
    ),
    vocabulary=st.sampled_from([None, 1, 50_257, 2**20]),
)


@settings(deadline=None, max_examples=40)
@given(value=specs(), related=ANY_RELATED, name=st.text(max_size=70))
def test_any_run_with_any_related_objects_gets_a_result(
    value: dict[str, Any], related: RelatedObjects, name: str
) -> None:
    try:
        spec = parse(PretrainJobSpec, value)
    except InvalidManifest:
        return
    result = admit(AdmissionRequest(name, spec, related))
    if related.profile is not None:
        assert result.plan is not None or result.errors
    unplanned = admit_unplanned(AdmissionRequest(name, spec, related), "too busy")
    assert bool(result.errors) >= bool(unplanned.errors), "a plan adds errors and removes none"
