"""All kinds together: who waits for whom, and how a run continues after disturbances."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from builders import dataset_spec, pipeline_spec, small_run_spec, tokenizer_spec
from cluster import (
    Namespace,
    RunningCluster,
    condition,
    is_condition,
    is_phase,
    make_namespace,
    remove_namespace,
    wait_until,
)
from pretrain_local.operator_process import OperatorProcess
from tenant import Tenant

pytestmark = pytest.mark.integration

Json = dict[str, Any]
STEPS = 240
"""Enough that a run still trains when its status has the first checkpoint, 2 s later."""
OWNED = "pretrain.dev/kind=pretrainjob,pretrain.dev/name="


def small_run(**changes: Any) -> Json:
    """Return a run of two pods of one process each."""
    return {**small_run_spec(STEPS, save_every=20), **changes}


@pytest.fixture(scope="module")
def blocks(
    operator: OperatorProcess,
    local_cluster: RunningCluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Tenant]:
    """Give a tenant whose token blocks are ready; kinds are applied in the wrong order."""
    tenant = Tenant(make_namespace(local_cluster), tmp_path_factory.mktemp("blocks"))
    dataset = dataset_spec(tokens="8k", blockTokens="4k", sequenceLength=32, tasks=1)
    tenant.apply("TokenDataset", "blocks", dataset)
    tenant.apply("Tokenizer", "tokens", tokenizer_spec(vocabularySize=512))
    waiting = tenant.namespace.wait_for(
        "tokendataset",
        "blocks",
        lambda item: "waits for Tokenizer tokens" in item.get("status", {}).get("message", ""),
    )
    assert is_condition("DataReady", "False")(waiting)
    assert "there is no DataPipeline documents" in waiting["status"]["message"]
    tenant.write_documents(count=60)
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    ended = tenant.namespace.wait_for("tokendataset", "blocks", _has_ended, 300)
    assert is_condition("Ready")(ended), ended["status"]["message"]
    try:
        yield tenant
    finally:
        tenant.remove()
        remove_namespace(tenant.namespace)


def test_a_run_that_is_suspended_killed_and_finished_counts_its_attempts(
    blocks: Tenant, operator: OperatorProcess
) -> None:
    namespace = blocks.namespace
    blocks.apply("PretrainJob", "run", small_run())
    namespace.wait_for("pretrainjob", "run", _has_checkpoint, 240)

    blocks.apply("PretrainJob", "run", small_run(suspend=True))
    suspended = namespace.wait_for("pretrainjob", "run", is_condition("Suspended"))
    assert [attempt["reason"] for attempt in suspended["status"]["attempts"]] == ["suspended"]
    wait_until(lambda: True if not namespace.list("pods", f"{OWNED}run") else None, "no pods")

    blocks.apply("PretrainJob", "run", small_run(suspend=False))
    pod = _running_pod(namespace, attempt=2)
    namespace.kubectl("delete", "pod", pod, "--grace-period=1")
    namespace.wait_for("pretrainjob", "run", _knows_cause)
    operator.kill()  # the pod is gone when it is back, and with it the reason
    operator.start()

    pod = _running_pod(namespace, attempt=3)
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace.name},
        "deleteOptions": {"gracePeriodSeconds": 1},
    }
    path = f"/api/v1/namespaces/{namespace.name}/pods/{pod}/eviction"
    namespace.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))

    done = namespace.wait_for("pretrainjob", "run", _has_ended, 300)
    status = done["status"]
    assert is_condition("Complete")(done), status["message"]
    ends = [(attempt["number"], attempt["reason"]) for attempt in status["attempts"]]
    assert ends == [(1, "suspended"), (2, "preempted"), (3, "preempted"), (4, "complete")]
    assert status["attempts"][1]["message"].endswith("was deleted while the attempt ran")
    assert status["attempts"][2]["message"].endswith("(EvictionByEvictionAPI)")
    assert status["summary"]["toStep"] == status["progress"]["totalSteps"] == STEPS
    assert status["attempts"][-1]["fromStep"] > 0
    assert status["inputs"]["dataset"]["uri"].startswith("file:///pretrain/data/artifacts/")

    events = [item for item in namespace.list("events") if item["involvedObject"]["name"] == "run"]
    assert {"AttemptStarted", "AttemptEnded", "Suspended"} <= {item["reason"] for item in events}
    warnings = [item["message"] for item in events if item["type"] == "Warning"]
    assert any(message.startswith("attempt 2 ended (preempted): ") for message in warnings)

    namespace.kubectl("delete", "jobs", f"--selector={OWNED}run", "--wait=true")
    blocks.apply("PretrainJob", "run", small_run(suspend=False, ttlAfterFinished="1s"))
    wait_until(lambda: True if namespace.get("pretrainjob", "run") is None else None, "the end")
    assert namespace.list("jobs", f"{OWNED}run") == []


def test_a_mixture_of_experts_trains_over_expert_parallel_ranks_and_is_exported(
    blocks: Tenant,
) -> None:
    spec = small_run_spec(steps=30, save_every=10)
    model = {**spec["model"], "experts": {"count": 4, "ffnHiddenSize": 32}}
    run = {
        **spec,
        "model": model,
        "parallelism": {"nodes": 2, "gpusPerNode": 1, "expert": 2},
        "export": {"huggingFace": {"uri": "file:///pretrain/data/models"}},
    }
    blocks.apply("PretrainJob", "experts", run)
    done = blocks.namespace.wait_for("pretrainjob", "experts", _has_ended, 240)
    status = done["status"]
    assert is_condition("Complete")(done), status["message"]
    assert status["plan"]["activeParameters"] < status["plan"]["parameters"]
    assert status["plan"]["expertDataParallel"] == 1
    (config,) = (blocks.folder / "models").rglob("config.json")
    assert json.loads(config.read_text())["architectures"] == ["MixtralForCausalLM"]


def test_a_run_that_does_not_fit_its_dataset_is_not_accepted(blocks: Tenant) -> None:
    training = {**small_run()["training"], "sequenceLength": 64}
    blocks.apply("PretrainJob", "unfit", small_run(training=training))
    refused = blocks.namespace.wait_for(
        "pretrainjob", "unfit", lambda item: is_condition("Accepted", "False")(item)
    )
    assert "spec.training.sequenceLength: 64" in refused["status"]["message"]
    assert blocks.namespace.list("jobs", f"{OWNED}unfit") == []


def test_a_failure_is_reported_by_all_dependents(tenant: Tenant) -> None:
    namespace = tenant.namespace
    tenant.apply("PretrainJob", "run", small_run())
    tenant.apply("TokenDataset", "blocks", dataset_spec(sequenceLength=32))
    tenant.apply("Tokenizer", "tokens", tokenizer_spec())
    tenant.apply("DataPipeline", "documents", pipeline_spec())
    failed = namespace.wait_for(
        "pretrainjob",
        "run",
        lambda item: "/pretrain/data/raw/*.jsonl" in item.get("status", {}).get("message", ""),
    )
    stalled = condition(failed, "Stalled")
    assert stalled is not None
    assert (stalled["status"], stalled["reason"]) == ("True", "DependencyFailed")


def _running_pod(namespace: Namespace, attempt: int) -> str:
    """Return the name of a pod of an attempt, once it runs."""
    labels = f"{OWNED}run,pretrain.dev/attempt={attempt}"

    def find() -> str | None:
        names = [
            pod["metadata"]["name"]
            for pod in namespace.list("pods", labels)
            if is_phase("Running")(pod)
        ]
        return names[-1] if names else None

    return wait_until(find, f"a pod of attempt {attempt}")


def _knows_cause(item: Json) -> bool:
    last = item["status"]["attempts"][-1]
    return "cause" in last or "reason" in last


def _has_ended(item: Json) -> bool:
    return is_condition("Ready")(item) or is_condition("Stalled")(item)


def _has_checkpoint(item: Json) -> bool:
    return "checkpoint" in item.get("status", {})
