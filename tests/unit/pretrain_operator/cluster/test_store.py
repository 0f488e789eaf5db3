from typing import Any

import pytest

from builders import make_body, make_object, pipeline_spec, ready_status, tokenizer_spec
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.objects import Key

OWNER = make_object("DataPipeline", "documents")
DOCUMENTS = Key("DataPipeline", "default", "documents")
TOKENS = Key("Tokenizer", "default", "tokens")


class RecordingListener(list[tuple[str, bool]]):
    """A listener that records its calls: the name of the object, and whether dependents follow."""

    def __call__(self, key: Key, with_dependents: bool) -> None:
        self.append((key.name, with_dependents))


def controlled_by(kind: str, name: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "uid": f"uid-of-{name}", "controller": True}


def child(kind: str, name: str, version: str = "1", **changes: Any) -> dict[str, Any]:
    labels = {"pretrain.dev/kind": "datapipeline", "pretrain.dev/name": "documents"}
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-of-{name}",
        "resourceVersion": version,
        "labels": {**labels, **changes.pop("labels", {})},
        "ownerReferences": [changes.pop("controller", controlled_by("DataPipeline", "documents"))],
    }
    return {"kind": kind, "metadata": metadata, **changes}


def versioned(version: str, **changes: Any) -> dict[str, Any]:
    return make_body("DataPipeline", "documents", metadata={"resourceVersion": version}, **changes)


def test_only_a_newer_version_is_stored() -> None:
    calls = RecordingListener()
    store = Store(calls)
    store.upsert("DataPipeline", versioned("10"))
    store.upsert("DataPipeline", versioned("9", spec=pipeline_spec(tasks=9)))
    store.upsert("DataPipeline", versioned("10"))
    assert calls == [("documents", True)]
    observed = store.get(DOCUMENTS)
    assert observed is not None
    assert observed.spec["tasks"] == 2


def test_a_deleted_object_does_not_come_back_with_a_late_version() -> None:
    store = Store(RecordingListener())
    store.upsert("DataPipeline", versioned("1"))
    store.drop("DataPipeline", versioned("2"))
    store.upsert("DataPipeline", versioned("3"))
    assert store.get(DOCUMENTS) is None


def test_a_successor_of_the_same_name_is_another_object() -> None:
    store = Store(RecordingListener())
    store.upsert("DataPipeline", versioned("5"))
    successor = make_body(
        "DataPipeline", "documents", metadata={"uid": "another", "resourceVersion": "7"}
    )
    store.upsert("DataPipeline", successor)
    store.drop("DataPipeline", versioned("6"))
    observed = store.get(DOCUMENTS)
    assert observed is not None
    assert observed.uid == "another"


def test_a_late_version_does_not_replace_a_successor_of_the_same_name() -> None:
    store = Store(RecordingListener())
    successor = {"uid": "another", "resourceVersion": "7"}
    store.upsert("DataPipeline", make_body("DataPipeline", "documents", metadata=successor))
    store.upsert("DataPipeline", versioned("5"))
    observed = store.get(DOCUMENTS)
    assert observed is not None
    assert observed.uid == "another"


@pytest.mark.parametrize("labels", [{"pretrain.dev/name": "other"}, {"pretrain.dev/kind": "x"}])
def test_a_child_whose_labels_are_changed_leaves_its_owner(labels: dict[str, str]) -> None:
    calls = RecordingListener()
    store = Store(calls)
    store.upsert("Job", child("Job", "documents-list-1"))
    relabelled = child("Job", "documents-list-1", "2", labels=labels)
    store.upsert("Job", relabelled)
    assert store.jobs(OWNER) == ()
    assert calls[:2] == [("documents", False)] * 2
    store.drop("Job", relabelled)
    assert store.jobs(OWNER) == ()


def test_a_change_of_a_child_concerns_its_owner() -> None:
    calls = RecordingListener()
    store = Store(calls)
    store.upsert("Job", child("Job", "documents-list-1"))
    pod = child("Pod", "p-0", controller=controlled_by("Job", "documents-list-1"))
    store.upsert("Pod", pod)
    assert calls == [("documents", False)] * 2
    (job,) = store.jobs(OWNER)
    assert [pod.name for pod in job.pods] == ["p-0"]
    store.drop("Pod", pod)
    assert store.jobs(OWNER)[0].pods == ()
    assert store.jobs(make_object("Tokenizer", "tokens")) == ()


def test_jobs_with_copied_labels_are_ignored() -> None:
    store = Store(RecordingListener())
    store.upsert("Job", child("Job", "theirs", controller=controlled_by("CronJob", "nightly")))
    assert store.jobs(OWNER) == ()


@pytest.mark.parametrize(
    ("controller", "counts"),
    [
        pytest.param(controlled_by("Job", "ours"), True, id="of a Job of ours"),
        pytest.param(controlled_by("Job", "gone"), True, id="of a deleted Job"),
        pytest.param(controlled_by("Job", "earlier"), True, id="of an earlier object's Job"),
        pytest.param(controlled_by("Job", "copied"), False, id="of a Job created by a user"),
        pytest.param(controlled_by("ReplicaSet", "web"), False, id="of another kind"),
        pytest.param({}, False, id="created by a user"),
    ],
)
def test_pods_are_selected_by_their_controller_and_not_only_by_their_labels(
    controller: dict[str, Any], counts: bool
) -> None:
    store = Store(RecordingListener())
    store.upsert("Job", child("Job", "ours"))
    earlier = {**controlled_by("DataPipeline", "documents"), "uid": "another"}
    store.upsert("Job", child("Job", "earlier", controller=earlier))
    store.upsert("Job", child("Job", "copied", controller={}))
    name = {"batch.kubernetes.io/job-name": "ours"}
    store.upsert("Pod", child("Pod", "p-0", labels=name, controller=controller))
    assert len(store.pods(OWNER)) == counts
    (job,) = store.jobs(OWNER)
    assert len(job.pods) == (controller == controlled_by("Job", "ours"))


def test_a_list_removes_older_objects_but_not_newer_ones() -> None:
    store = Store(RecordingListener())
    store.upsert("Job", child("Job", "old", "5"))
    store.upsert("Job", child("Job", "kept", "6"))
    store.upsert("Job", child("Job", "new", "12"))
    store.replace("Job", [child("Job", "kept", "6")], "10")
    assert [job.name for job in store.jobs(OWNER)] == ["kept", "new"]


def test_a_job_that_gets_its_labels_back_is_one_of_its_owner_again() -> None:
    store = Store(RecordingListener())
    store.upsert("Job", child("Job", "ours", "5"))
    store.replace("Job", [], "10")
    store.upsert("Job", child("Job", "ours", "6"))
    assert store.jobs(OWNER) == ()
    store.upsert("Job", child("Job", "ours", "11"))
    assert [job.name for job in store.jobs(OWNER)] == ["ours"]


def test_an_artifact_concerns_dependents_but_progress_does_not() -> None:
    calls = RecordingListener()
    store = Store(calls)
    store.upsert("DataPipeline", versioned("1"))
    store.upsert("DataPipeline", versioned("2", status={"stages": [{"name": "list", "job": "x"}]}))
    store.upsert("DataPipeline", versioned("3", status=ready_status("documents")))
    assert calls == [("documents", True), ("documents", False), ("documents", True)]


def test_dependents_follow_the_references_of_the_newest_version() -> None:
    store = Store(RecordingListener())
    store.upsert("Tokenizer", make_body("Tokenizer", "tokens"))
    assert store.dependents(DOCUMENTS) == {TOKENS}
    elsewhere = tokenizer_spec(corpus={"pipelineRef": {"name": "other"}})
    body = make_body("Tokenizer", "tokens", spec=elsewhere, metadata={"resourceVersion": "2"})
    store.upsert("Tokenizer", body)
    assert store.dependents(DOCUMENTS) == set()


def test_a_tokenizer_concerns_the_runs_that_train_on_a_dataset_of_it() -> None:
    store = Store(RecordingListener())
    for kind, name in (("Tokenizer", "tokens"), ("TokenDataset", "blocks"), ("PretrainJob", "run")):
        store.upsert(kind, make_body(kind, name))
    dataset, run = Key("TokenDataset", "default", "blocks"), Key("PretrainJob", "default", "run")
    assert store.dependents(dataset) == {run}
    assert store.dependents(TOKENS) == {dataset, run}
    assert store.dependents(DOCUMENTS) == {TOKENS, dataset, run}


def test_every_profile_concerns_objects_without_a_profile_ref() -> None:
    store = Store(RecordingListener())
    store.upsert("Tokenizer", make_body("Tokenizer", "tokens"))
    assert store.dependents(Key("ComputeProfile", "", "gpu")) == {TOKENS}
