import pytest

from builders import artifact, dataset_spec, make_object, pipeline_spec, ready_status, run_spec
from pretrain_api.conditions import Reason
from pretrain_operator.observed.errors import DependencyNotReady
from pretrain_operator.observed.objects import Key, ListedObjects
from pretrain_operator.observed.references import ANY_PROFILE, references
from pretrain_operator.plan.dependencies import require_artifact, require_artifacts

KEY = Key("DataPipeline", "default", "documents")


def test_the_artifact_of_a_ready_object_comes_with_its_secret() -> None:
    output = {"uri": "s3://corpus", "credentialsSecretRef": {"name": "s3"}}
    ready = make_object(
        "DataPipeline",
        "documents",
        spec=pipeline_spec(output=output),
        status=ready_status("documents"),
    )
    opened = require_artifact("spec.corpus.pipelineRef", KEY, ready)
    assert (opened.uri, opened.credentials_secret) == (artifact("documents").uri, "s3")


def test_a_missing_object_is_named_with_the_field_that_refers_to_it() -> None:
    with pytest.raises(DependencyNotReady) as caught:
        require_artifact("spec.corpus.pipelineRef", KEY, None)
    assert caught.value.reason is Reason.DEPENDENCY_NOT_FOUND
    assert str(caught.value) == (
        "spec.corpus.pipelineRef: there is no DataPipeline documents in namespace default; "
        "create it"
    )


def test_the_older_artifact_of_an_edited_object_is_not_used() -> None:
    edited = make_object(
        "DataPipeline", "documents", generation=2, status=ready_status("documents")
    )
    with pytest.raises(DependencyNotReady, match="waits for DataPipeline documents") as caught:
        require_artifact("spec.corpus.pipelineRef", KEY, edited)
    assert caught.value.reason is Reason.WAITING_FOR_DEPENDENCY


def test_the_failure_of_an_object_is_reported_by_its_dependents() -> None:
    stalled = {
        "type": "Stalled",
        "status": "True",
        "reason": "UserError",
        "message": "spec.sources[0].uri: no file matches",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    failed = make_object(
        "DataPipeline",
        "documents",
        status={"observedGeneration": 1, "conditions": [stalled]},
    )
    with pytest.raises(DependencyNotReady, match="no file matches") as caught:
        require_artifact("spec.corpus.pipelineRef", KEY, failed)
    assert caught.value.reason is Reason.DEPENDENCY_FAILED


def test_all_missing_dependencies_are_reported_at_once() -> None:
    fields = {
        "spec.tokenizerRef": Key("Tokenizer", "default", "tokens"),
        "spec.mixture[0].pipelineRef": KEY,
        "spec.mixture[1].pipelineRef": KEY,
    }
    with pytest.raises(DependencyNotReady) as caught:
        require_artifacts(fields, ListedObjects([make_object("Tokenizer", "tokens")]))
    assert caught.value.reason is Reason.DEPENDENCY_NOT_FOUND
    first, *others = str(caught.value).split("; spec")
    assert first == "waits for Tokenizer tokens"
    assert [line.split(":")[0] for line in others] == [
        ".mixture[0].pipelineRef",
        ".mixture[1].pipelineRef",
    ]


def test_references_are_all_objects_whose_change_concerns_an_object() -> None:
    dataset = make_object("TokenDataset", spec=dataset_spec(profileRef={"name": "gpu"}))
    assert references(dataset) == {
        Key("ComputeProfile", "", "gpu"),
        Key("Tokenizer", "default", "tokens"),
        Key("DataPipeline", "default", "documents"),
    }
    run = make_object("PretrainJob", spec=run_spec())
    assert references(run) == {ANY_PROFILE, Key("TokenDataset", "default", "blocks")}


@pytest.mark.parametrize("spec", [{}, {"mixture": "x"}, {"mixture": [1, {"pipelineRef": []}]}])
def test_references_of_a_broken_spec_are_those_that_can_be_read(spec: dict[str, object]) -> None:
    assert references(make_object("TokenDataset", spec=spec)) == {ANY_PROFILE}
