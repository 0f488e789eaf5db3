"""What a user can get wrong ends as a condition that says what to change, within seconds."""

import gzip
from typing import Any

import pytest

from cluster import Json, condition, is_condition
from e2e import chain
from e2e.place import Place
from pretrain_local.kubectl import KubectlError

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SOON = 60.0
"""Seconds; some pods have to start, on two cores."""


def source(file: str, **fields: Any) -> dict[str, Any]:
    return {"name": "poems", "uri": f"file:///pretrain/data/raw/{file}", "language": "zh", **fields}


def task(pod: Json) -> tuple[str, str]:
    """Return the Job and the index that a pod works on."""
    labels = pod["metadata"]["labels"]
    return labels["job-name"], labels["batch.kubernetes.io/job-completion-index"]


BAD_SOURCES = {
    "a-source-that-matches-nothing": ({"sources": [source("nothing-*.jsonl")]}, "nothing-*.jsonl"),
    "a-corrupt-gzip-file": ({"sources": [source("corrupt.jsonl.gz")]}, "corrupt.jsonl.gz"),
    "an-empty-corpus": ({"sources": [source("empty.jsonl")]}, "empty.jsonl"),
    "a-format-that-nobody-knows": ({"sources": [source("page.docx")]}, "page.docx"),
    "a-wrong-text-field": ({"sources": [source("zh.jsonl", textField="body")]}, "body"),
    "rules-that-drop-everything": ({"rules": [{"length": {"minCharacters": 100_000}}]}, "length"),
}


@pytest.fixture(scope="module")
def bad_place(place: Place) -> Place:
    """Give a place with files that are wrong."""
    raw = place.data / "raw"
    packed = gzip.compress((raw / "zh.jsonl").read_bytes())
    (raw / "corrupt.jsonl.gz").write_bytes(packed[:12])
    (raw / "empty.jsonl").write_text("")
    (raw / "page.docx").write_bytes(b"PK\x03\x04")
    return place


@pytest.mark.parametrize("name", BAD_SOURCES)
def test_bad_text_is_named_in_a_condition(bad_place: Place, name: str) -> None:
    changes, named = BAD_SOURCES[name]
    manifest = chain.documents(**changes)
    manifest["metadata"]["name"] = name
    bad_place.apply(manifest)
    item = bad_place.namespace.wait_for("datapipeline", name, is_condition("Stalled"), SOON)
    failed = condition(item, "Failed")
    assert failed is not None
    assert failed["status"] == "True"
    assert named in failed["message"]
    assert "Traceback" not in failed["message"]
    assert named in item["status"]["message"]
    pods = bad_place.namespace.list("pods", f"pretrain.dev/name={name}")
    failed_tasks = [task(pod) for pod in pods if pod["status"]["phase"] == "Failed"]
    assert len(failed_tasks) == len(set(failed_tasks)) > 0, "only the user can help: no retries"


def test_a_missing_secret_is_named_and_heals(bad_place: Place) -> None:
    manifest = chain.documents(
        output={"uri": "file:///pretrain/data/artifacts", "credentialsSecretRef": {"name": "s3"}}
    )
    manifest["metadata"]["name"] = "secretive"
    bad_place.apply(manifest)
    space = bad_place.namespace
    item = space.wait_for("datapipeline", "secretive", is_condition("DataReady", "False"), SOON)
    waits = condition(item, "DataReady")
    assert waits is not None
    assert '"s3"' in waits["message"] or "s3" in waits["message"].split()
    assert space.name in waits["message"]
    keys = ("endpoint", "accessKey", "secretKey")
    literals = [f"--from-literal={key}=value" for key in keys]
    space.kubectl("create", "secret", "generic", "s3", *literals)
    space.wait_for("datapipeline", "secretive", is_condition("Complete"), 120)


def test_a_reference_to_nothing_is_named(bad_place: Place) -> None:
    manifest = chain.tokenizer()
    manifest["metadata"]["name"] = "lonely"
    manifest["spec"]["corpus"]["pipelineRef"]["name"] = "absent"
    bad_place.apply(manifest)
    item = bad_place.namespace.wait_for(
        "tokenizer", "lonely", is_condition("DataReady", "False"), SOON
    )
    waits = condition(item, "DataReady")
    assert waits is not None
    assert "absent" in waits["message"]
    assert not is_condition("Stalled")(item), "it may still be created"


def test_a_manifest_that_breaks_the_schema_is_refused_at_apply(bad_place: Place) -> None:
    manifest = chain.documents(tasks=0)
    manifest["metadata"]["name"] = "broken"
    with pytest.raises(KubectlError, match=r"spec\.tasks"):
        bad_place.apply(manifest)


def test_a_parallelism_that_does_not_fit_is_refused_with_what_would(bad_place: Place) -> None:
    manifest = chain.run("impossible")
    manifest["spec"]["model"]["attentionHeads"] = 3
    with pytest.raises(KubectlError, match="attentionHeads"):
        bad_place.apply(manifest)
