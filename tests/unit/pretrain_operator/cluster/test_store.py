from typing import Any

from builders import make_body, pipeline_spec, ready_status, tokenizer_spec
from pretrain_operator.cluster.store import Store
from pretrain_operator.plan.observed import Key

DOCUMENTS = Key("DataPipeline", "default", "documents")
TOKENS = Key("Tokenizer", "default", "tokens")


class Heard(list[tuple[str, bool]]):
    """What a listener was told: the object's name, and whether it matters to others."""

    def __call__(self, key: Key, matters_to_others: bool) -> None:
        self.append((key.name, matters_to_others))


def child(kind: str, name: str, version: str = "1", **changes: Any) -> dict[str, Any]:
    labels = {"pretrain.dev/kind": "datapipeline", "pretrain.dev/name": "documents"}
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-of-{name}",
        "resourceVersion": version,
        "labels": {**labels, **changes.pop("labels", {})},
    }
    return {"kind": kind, "metadata": metadata, **changes}


def versioned(version: str, **changes: Any) -> dict[str, Any]:
    return make_body("DataPipeline", "documents", metadata={"resourceVersion": version}, **changes)


def test_only_a_newer_version_is_news() -> None:
    heard = Heard()
    store = Store(heard)
    store.put("DataPipeline", versioned("10"))
    store.put("DataPipeline", versioned("9", spec=pipeline_spec(tasks=9)))
    store.put("DataPipeline", versioned("10"))
    assert heard == [("documents", True)]
    observed = store.get(DOCUMENTS)
    assert observed is not None
    assert observed.spec["tasks"] == 2


def test_a_deleted_object_does_not_come_back_with_a_late_version() -> None:
    store = Store(Heard())
    store.put("DataPipeline", versioned("1"))
    store.drop("DataPipeline", versioned("2"))
    store.put("DataPipeline", versioned("3"))
    assert store.get(DOCUMENTS) is None


def test_a_successor_of_the_same_name_is_another_object() -> None:
    store = Store(Heard())
    store.put("DataPipeline", versioned("5"))
    successor = make_body(
        "DataPipeline", "documents", metadata={"uid": "another", "resourceVersion": "7"}
    )
    store.put("DataPipeline", successor)
    store.drop("DataPipeline", versioned("6"))
    observed = store.get(DOCUMENTS)
    assert observed is not None
    assert observed.uid == "another"


def test_children_are_found_by_their_labels_and_tell_their_owner() -> None:
    heard = Heard()
    store = Store(heard)
    store.put("Job", child("Job", "documents-list-1"))
    pod = child("Pod", "p-0", labels={"batch.kubernetes.io/job-name": "documents-list-1"})
    store.put("Pod", pod)
    assert heard == [("documents", False)] * 2
    (job,) = store.jobs(DOCUMENTS)
    assert [pod.name for pod in job.pods] == ["p-0"]
    store.drop("Pod", pod)
    assert store.jobs(DOCUMENTS)[0].pods == ()
    assert store.jobs(TOKENS) == ()


def test_a_list_tells_what_is_gone_but_not_what_came_after_it() -> None:
    store = Store(Heard())
    store.put("Job", child("Job", "old", "5"))
    store.put("Job", child("Job", "kept", "6"))
    store.put("Job", child("Job", "new", "12"))
    store.replace("Job", [child("Job", "kept", "6")], "10")
    assert [job.name for job in store.jobs(DOCUMENTS)] == ["kept", "new"]


def test_progress_is_nobody_elses_business_but_an_artifact_is() -> None:
    heard = Heard()
    store = Store(heard)
    store.put("DataPipeline", versioned("1"))
    store.put("DataPipeline", versioned("2", status={"stages": [{"name": "list", "job": "x"}]}))
    store.put("DataPipeline", versioned("3", status=ready_status("documents")))
    assert heard == [("documents", True), ("documents", False), ("documents", True)]


def test_dependents_follow_the_references_of_the_newest_version() -> None:
    store = Store(Heard())
    store.put("Tokenizer", make_body("Tokenizer", "tokens"))
    assert store.dependents(DOCUMENTS) == {TOKENS}
    elsewhere = tokenizer_spec(corpus={"pipelineRef": {"name": "other"}})
    body = make_body("Tokenizer", "tokens", spec=elsewhere, metadata={"resourceVersion": "2"})
    store.put("Tokenizer", body)
    assert store.dependents(DOCUMENTS) == set()


def test_every_profile_concerns_objects_that_name_none() -> None:
    store = Store(Heard())
    store.put("Tokenizer", make_body("Tokenizer", "tokens"))
    assert store.dependents(Key("ComputeProfile", "", "gpu")) == {TOKENS}
