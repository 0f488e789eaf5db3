"""The whole chain, with the real operator, real pods and a real model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import Json, is_condition, wait_until
from e2e import chain
from e2e.place import Place
from e2e.processes import kill_pod
from pretrain_local.operator_process import OperatorProcess

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KINDS = {
    "datapipeline": "documents",
    "tokenizer": "pieces",
    "tokendataset": "blocks",
    "pretrainjob": "tiny",
}
LONG = 420.0
"""Seconds for a chain that takes about one minute on two free cores."""

LOAD = """
import sys, torch, transformers
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1])
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
logits = model(tokenizer("床前明月光，", return_tensors="pt")["input_ids"]).logits
assert torch.isfinite(logits).all() and logits.shape[-1] >= 1024, logits.shape
"""


@pytest.fixture(scope="module")
def finished(place: Place) -> dict[str, Json]:
    """Give the objects of the finished chain, by kind."""
    place.apply(*chain.all_kinds(place.data)[1:])
    wait(place, "pretrainjob", "tiny")
    return {kind: found(place, kind, name) for kind, name in KINDS.items()}


def test_raw_text_becomes_a_trained_exported_model(place: Place, finished: dict[str, Json]) -> None:
    for item in finished.values():
        assert is_condition("Ready")(item)
        assert item["status"]["observedGeneration"] == item["metadata"]["generation"]
    status = finished["pretrainjob"]["status"]
    summary = status["summary"]
    assert summary["perplexity"] < summary["initialPerplexity"]
    assert status["checkpoint"]["step"] == summary["toStep"] == chain.STEPS
    assert [attempt["reason"] for attempt in status["attempts"]] == ["complete"]
    metadata = 500_000  # names, shapes and digests, which weigh more in a tiny model
    planned = status["plan"]["checkpointBytes"]
    assert planned < status["checkpoint"]["bytes"] < planned + metadata
    assert summary["continuations"][0]["prompt"] == "床前明月光，"
    assert len(status["progress"]["curve"]) > 10
    model = folder(place, status["export"]["uri"])
    subprocess.run([sys.executable, "-c", LOAD, str(model)], check=True, timeout=120)


def test_every_artifact_has_a_manifest_that_lists_its_files(
    place: Place, finished: dict[str, Json]
) -> None:
    for kind in ("datapipeline", "tokenizer", "tokendataset"):
        artifact = finished[kind]["status"]["artifact"]
        root = folder(place, artifact["uri"])
        manifest = json.loads((root / "MANIFEST.json").read_text())
        assert manifest["digest"] == artifact["digest"]
        assert manifest["files"]
        for file in manifest["files"]:
            assert (root / file["path"]).stat().st_size == file["bytes"]


def test_deleting_and_applying_again_computes_nothing(
    place: Place, finished: dict[str, Json]
) -> None:
    space = place.namespace
    for kind, name in KINDS.items():
        space.delete(kind, name, "--cascade=foreground")
    place.apply(*chain.all_kinds(place.data)[1:])
    wait(place, "pretrainjob", "tiny")
    for kind, name in KINDS.items():
        again = found(place, kind, name)["status"]
        if kind != "pretrainjob":
            assert again["reused"]
            assert again["artifact"] == finished[kind]["status"]["artifact"]
        assert again["summary"] == finished[kind]["status"]["summary"]
    assert len(space.list("jobs")) == len(KINDS), "one Job each, which finds the artifact"


def test_a_lost_training_pod_changes_nothing_but_the_number_of_attempts(
    place: Place, finished: dict[str, Json]
) -> None:
    place.apply(chain.run("disturbed"))
    wait_until(lambda: first_checkpoint(place, "disturbed"), "the first checkpoint", LONG)
    pod = place.namespace.list("pods", "pretrain.dev/name=disturbed")[-1]["metadata"]["name"]
    assert kill_pod(pod) > 0
    wait(place, "pretrainjob", "disturbed")
    status = found(place, "pretrainjob", "disturbed")["status"]
    assert [attempt["number"] for attempt in status["attempts"]] == [1, 2]
    assert status["attempts"][0]["reason"] == "infrastructure"
    assert status["attempts"][1]["fromStep"] >= 5
    undisturbed = finished["pretrainjob"]["status"]["summary"]
    assert status["summary"]["loss"] == pytest.approx(undisturbed["loss"], abs=1e-5)
    assert status["summary"]["perplexity"] == pytest.approx(undisturbed["perplexity"], rel=1e-4)


def test_every_token_of_a_run_that_lost_a_pod_is_traced_to_its_document(
    place: Place, finished: dict[str, Json]
) -> None:
    audit = json.loads(pretrain(place, "audit", "disturbed", "-o", "json").stdout)
    assert audit["step"] == chain.STEPS
    assert audit["tracedTokens"] == audit["tokens"] == chain.STEPS * chain.STEP_TOKENS
    assert audit["checksum"] == "equal"
    languages = {one["name"]: one["tokens"] for one in audit["groups"] if one["by"] == "language"}
    assert sum(languages.values()) == audit["tokens"]
    assert max(languages, key=lambda name: languages[name]) == "en"
    shown = pretrain(place, "audit", "disturbed", "--ledger-only").stdout
    assert "(100.00%) are traced to " in shown
    assert not [job for job in place.namespace.list("jobs") if "-read-" in job["metadata"]["name"]]


def test_the_report_of_a_pipeline_and_the_curve_of_a_run_are_fetched(
    place: Place, finished: dict[str, Json], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    pretrain(place, "report", "documents", "--file", str(page))
    root = folder(place, finished["datapipeline"]["status"]["artifact"]["uri"])
    assert page.read_bytes() == (root / "report.html").read_bytes()
    shown = pretrain(place, "curve", "disturbed").stdout
    assert f"Complete, step {chain.STEPS} of {chain.STEPS}" in shown
    assert "attempt 2 goes on; the last one ended: infrastructure" in shown


def test_what_cannot_be_read_is_told_in_one_sentence(
    place: Place, finished: dict[str, Json]
) -> None:
    root = folder(place, finished["datapipeline"]["status"]["artifact"]["uri"])
    (root / "report.html").rename(root / "away.html")
    try:
        failed = pretrain(place, "report", "documents", check=False)
    finally:
        (root / "away.html").rename(root / "report.html")
    assert failed.returncode == 2
    assert "could not read it: " in failed.stderr.splitlines()[-1]
    assert "report.html: does not exist" in failed.stderr.splitlines()[-1]
    unknown = pretrain(place, "report", "nothing", check=False)
    assert unknown.stderr.startswith("error: there is no DataPipeline 'nothing' in namespace ")


def pretrain(
    place: Place, *arguments: str, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    """Run `kubectl pretrain` in the place's namespace."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pretrain_operator.cli", arguments[0]),
            *("--namespace", place.namespace.name, *arguments[1:]),
        ],
        env={**os.environ, "KUBECONFIG": str(place.namespace.cluster.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=120,
        check=check,
    )


def test_an_operator_that_dies_at_every_stage_ends_in_the_same_state(
    place: Place, finished: dict[str, Json], operator: OperatorProcess
) -> None:
    copy = chain.documents()
    copy["metadata"]["name"] = "copy"
    place.apply(copy)
    seen: set[str] = set()
    while True:
        step = wait_until(lambda: _new_job_or_end(place, seen), "the next stage", LONG)
        if step == "end":
            break
        seen.add(step)
        operator.kill()
        operator.start()
    status = found(place, "datapipeline", "copy")["status"]
    want = finished["datapipeline"]["status"]
    assert len(seen) == len(want["stages"])
    assert status["summary"] == want["summary"]
    assert [s["name"] for s in status["stages"]] == [s["name"] for s in want["stages"]]
    assert is_condition("Ready")(found(place, "datapipeline", "copy"))


def wait(place: Place, kind: str, name: str) -> None:
    """Wait until an object is complete; fail early if it has failed."""
    item = place.namespace.wait_for(
        kind,
        name,
        lambda seen: is_condition("Complete")(seen) or is_condition("Failed")(seen),
        LONG,
    )
    assert is_condition("Complete")(item), item["status"]["message"]


def found(place: Place, kind: str, name: str) -> Json:
    """Return an object that must exist."""
    item = place.namespace.get(kind, name)
    assert item is not None
    return item


def folder(place: Place, uri: str) -> Path:
    """Return the folder on this machine that pods call `uri`."""
    return place.data / uri.removeprefix("file:///pretrain/data/")


def first_checkpoint(place: Place, name: str) -> Path | None:
    """Return a complete checkpoint of a run, if there is one."""
    root = place.data / "checkpoints" / f"pretrainjob-{name}"
    return next(root.glob("*/checkpoints/step-*/COMPLETE.json"), None)


def _new_job_or_end(place: Place, seen: set[str]) -> str | None:
    jobs = place.namespace.list("jobs", "pretrain.dev/name=copy")
    fresh: set[str] = {job["metadata"]["name"] for job in jobs} - seen
    if fresh:
        return min(fresh)
    item = found(place, "datapipeline", "copy")
    return "end" if is_condition("Complete")(item) or is_condition("Failed")(item) else None
