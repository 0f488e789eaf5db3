"""Training from Git: commit, edit, removal and revert, with Flux's real controllers."""

from pathlib import Path
from typing import Any

import pytest

from cluster import condition, wait_until
from e2e import chain
from gitops.flux import Training
from pretrain_local.operator_process import OperatorProcess

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Json = dict[str, Any]
LONG = 300.0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a folder with raw text."""
    chain.write_corpus(tmp_path / "raw")
    return tmp_path


@pytest.fixture
def manifests(operator: OperatorProcess, data: Path, training: Training) -> Json:
    """Give the chain as files of a repository, for a profile of its own."""
    profile, *others = chain.all_kinds(data)
    profile["metadata"]["name"] = training.namespace.name
    for manifest in others:
        manifest["spec"]["profileRef"] = {"name": training.namespace.name}
    return {f"{one['kind'].lower()}.yaml": one for one in (profile, *others)}


def test_a_commit_trains_a_model_that_a_removal_ends_and_a_revert_continues(
    training: Training, manifests: Json, data: Path
) -> None:
    commit = training.repository.commit(manifests, "Train")
    training.wait_until_ready(commit, LONG)
    training.namespace.wait_for("pretrainjob", "tiny", has_checkpoint, LONG)

    commit = training.repository.commit({"pretrainjob.yaml": None}, "End the run")
    training.wait_until_ready(commit)
    wait_until(lambda: not runs(training) or None, "a run that is gone")
    jobs = "pretrain.dev/kind=pretrainjob"
    wait_until(lambda: not training.namespace.list("jobs", jobs) or None, "its Jobs, too")
    assert list((data / "checkpoints").rglob("COMPLETE.json")), "its checkpoints stay"

    ready = training.wait_until_ready(training.repository.revert())
    finished = training.namespace.wait_for("pretrainjob", "tiny", is_complete, LONG)
    assert since(ready, "Ready") <= since(finished, "Complete"), "a run that trains is healthy"
    assert [one["fromStep"] > 0 for one in finished["status"]["attempts"]] == [True]
    assert finished["status"]["checkpoint"]["step"] == chain.STEPS

    before = versions(training)
    commit = training.repository.commit({"notes.yaml": CONFIG_MAP}, "Say what this is")
    training.wait_until_ready(commit)
    assert versions(training) == before, "what has not changed is not written"


CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}, "data": {}}


def test_an_edit_is_applied_or_refused_with_what_to_do(training: Training, manifests: Json) -> None:
    run = manifests["pretrainjob.yaml"]
    manifests["computeprofile.yaml"]["spec"]["pods"]["nodeSelector"] = {"room": "none"}
    commit = training.repository.commit(manifests, "Documents that wait for a node")
    training.wait_until_ready(commit)  # as long as it takes: nothing times out
    waiting = training.namespace.get("pretrainjob", "tiny")
    assert waiting is not None
    assert waiting["status"]["phase"] == "Waiting"

    run["spec"]["checkpoint"]["keep"] = {"last": 7}
    training.repository.commit({"pretrainjob.yaml": run}, "Keep more")
    training.namespace.wait_for("pretrainjob", "tiny", keeps_seven)

    run["spec"]["model"]["layers"] = 8
    commit = training.repository.commit({"pretrainjob.yaml": run}, "Another model")
    told = training.wait_until_refused(commit)
    assert "PretrainJob" in told
    assert "tiny" in told
    assert "cannot change once the object exists; make a new PretrainJob" in told


def keeps_seven(item: Json) -> bool:
    return bool(item["spec"]["checkpoint"].get("keep", {}).get("last") == 7)


def runs(training: Training) -> list[Json]:
    return training.namespace.list("pretrainjobs")


def versions(training: Training) -> dict[str, str]:
    """Return the version of each object of ours."""
    kinds = "datapipelines,tokenizers,tokendatasets,pretrainjobs"
    items = training.namespace.list(kinds)
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}


def since(item: Json, name: str) -> str:
    """Return when a condition came to hold."""
    found = condition(item, name)
    assert found is not None
    assert found["status"] == "True"
    return str(found["lastTransitionTime"])


def has_checkpoint(item: Json) -> bool:
    return "checkpoint" in item.get("status", {})


def is_complete(item: Json) -> bool:
    found = condition(item, "Complete")
    return found is not None and found["status"] == "True"
