"""The objects that a run refers to: existing, missing or invalid."""

import pytest

from builders import dataset_spec, make_object, parsed_run, ready_status
from pretrain_api.meta import DEFAULT_PROFILE_ANNOTATION
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.admission.related_objects import DatasetInfo, related_objects
from pretrain_operator.observed.objects import ListedObjects

PROFILE = make_object("ComputeProfile", "cpu")
TOKENIZER = make_object("Tokenizer", "tokens")
DATASET = make_object("TokenDataset", "blocks")
SUMMARY = {
    "sequenceLength": 128,
    "vocabularySize": 1000,
    "parts": [{"uniqueTokens": 300}, {"uniqueTokens": 400}],
}


def test_the_specs_count_until_the_dataset_is_complete() -> None:
    related = related_objects(parsed_run(), "default", ListedObjects([PROFILE, TOKENIZER, DATASET]))
    assert related.dataset == DatasetInfo("blocks", 128, 10**6, None)
    assert related.vocabulary == 1024
    assert related.profile is not None
    assert related.missing == ()


def test_the_summary_of_a_complete_dataset_counts() -> None:
    status = ready_status("blocks", summary=SUMMARY)
    complete = make_object("TokenDataset", "blocks", status=status)
    related = related_objects(parsed_run(), "default", ListedObjects([PROFILE, complete]))
    assert related.dataset == DatasetInfo("blocks", 128, 10**6, 700)
    assert related.vocabulary == 1000
    assert related.missing == ()


def test_the_summary_of_an_edited_dataset_no_longer_counts() -> None:
    status = ready_status("blocks", summary=SUMMARY)
    edited = make_object("TokenDataset", "blocks", status=status, generation=2)
    related = related_objects(parsed_run(), "default", ListedObjects([PROFILE, TOKENIZER, edited]))
    assert related.vocabulary == 1024


def test_an_object_of_another_namespace_is_another_object() -> None:
    related = related_objects(parsed_run(), "team", ListedObjects([PROFILE, TOKENIZER, DATASET]))
    assert related.dataset is None
    assert related.missing == (
        "spec.data.datasetRef.name: there is no TokenDataset 'blocks', so the run is not checked"
        " against it",
    )


def test_everything_that_is_missing_is_named() -> None:
    related = related_objects(parsed_run(), "default", ListedObjects([DATASET]))
    assert related.profile is None
    profile, tokenizer = related.missing
    assert profile.startswith("spec.profileRef is not set: ")
    assert profile.endswith("; memory and time are not checked")
    assert tokenizer == (
        "spec.tokenizerRef.name of TokenDataset blocks: there is no Tokenizer 'tokens', so the"
        " run is not checked against it"
    )


@pytest.mark.parametrize("kind", ["TokenDataset", "Tokenizer", "ComputeProfile"])
def test_an_invalid_object_is_not_compared_with(kind: str) -> None:
    objects = {item.key.kind: item for item in (PROFILE, TOKENIZER, DATASET)}
    broken = make_object(kind, objects[kind].key.name, spec={"nonsense": 1})
    related = related_objects(parsed_run(), "default", ListedObjects([*objects.values(), broken]))
    [line] = related.missing
    assert f"{kind} {broken.key.name} is invalid" in line


def test_the_default_profile_is_the_one_that_is_marked() -> None:
    gpu = make_object(
        "ComputeProfile",
        "gpu",
        annotations={DEFAULT_PROFILE_ANNOTATION: "true"},
        spec={"accelerator": {"name": "h100", "perNode": 8}},
    )
    related = related_objects(parsed_run(), "default", ListedObjects([PROFILE, gpu]))
    assert related.profile is not None
    assert related.profile.accelerator.name == "h100"


def test_given_nodes_take_precedence_over_profiles() -> None:
    given = ComputeProfileSpec.model_validate({"accelerator": {"name": "b200", "perNode": 8}})
    related = related_objects(parsed_run(), "default", ListedObjects(), given)
    assert related.profile is given


def test_the_later_of_two_manifests_of_one_object_counts() -> None:
    first = make_object("TokenDataset", "blocks", spec=dataset_spec(sequenceLength=256))
    related = related_objects(parsed_run(), "default", ListedObjects([first, DATASET]))
    assert related.dataset is not None
    assert related.dataset.sequence_length == 128
