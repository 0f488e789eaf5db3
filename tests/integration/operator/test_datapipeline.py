"""DataPipelines on a real API server, with the real Job controller and real pods."""

import json
from functools import partial
from typing import Any

import pytest

from builders import pipeline_spec
from cluster import condition, is_condition, wait_until
from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_local.kubectl import KubectlError
from pretrain_local.operator_process import OperatorProcess
from tenant import Tenant

pytestmark = pytest.mark.integration

Json = dict[str, Any]
STAGES = ["list", "prepare", "match", "decide", "write", "report"]
OWNED = "pretrain.dev/name=documents"


def _jobs(tenant: Tenant, labels: str) -> list[Json] | None:
    return tenant.namespace.list("jobs", labels) or None


def has_condition(item: Json, kind: str, status: str, reason: str) -> bool:
    match = condition(item, kind)
    return match is not None and (match["status"], match["reason"]) == (status, reason)


def test_raw_text_becomes_an_artifact_that_is_reused(tenant: Tenant) -> None:
    namespace = tenant.namespace
    tenant.write_documents()
    tenant.apply("DataPipeline", "documents", pipeline_spec())
    done = namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 180)
    status = done["status"]
    assert status["summary"]["read"] == 40
    assert [stage["name"] for stage in status["stages"]] == STAGES
    artifact = tenant.folder / status["artifact"]["uri"].removeprefix("file:///pretrain/data/")
    assert (artifact / "MANIFEST.json").exists()
    for kind in ("jobs", "configmaps"):
        children = namespace.list(kind, OWNED)
        assert len(children) == len(STAGES)
        for child in children:
            (owner,) = child["metadata"]["ownerReferences"]
            assert (owner["uid"], owner["controller"]) == (done["metadata"]["uid"], True)

    namespace.delete("datapipeline", "documents")
    tenant.apply("DataPipeline", "documents", pipeline_spec())
    again = namespace.wait_for("datapipeline", "documents", is_condition("Ready"))
    assert again["status"]["artifact"] == status["artifact"]
    assert again["status"]["reused"] is True
    assert again["status"]["summary"] == status["summary"]
    assert len(again["status"]["stages"]) == 1


def test_a_finished_pipeline_does_not_run_again_because_its_jobs_were_deleted(
    tenant: Tenant, operator: OperatorProcess
) -> None:
    namespace = tenant.namespace
    tenant.write_documents()
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    done = namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 180)
    namespace.kubectl("delete", "jobs", f"--selector={OWNED}", "--wait=true")
    operator.kill()
    operator.start()
    # Once a later object is ready, the earlier one has been reconciled, too.
    tenant.apply("DataPipeline", "later", pipeline_spec(tasks=1))
    namespace.wait_for("datapipeline", "later", is_condition("Ready"), 180)
    assert namespace.list("jobs", OWNED) == []
    after = namespace.get("datapipeline", "documents")
    assert after is not None
    assert after["status"] == done["status"]


def test_a_source_without_files_fails_with_its_field_and_a_retry_succeeds(
    tenant: Tenant,
) -> None:
    namespace = tenant.namespace
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    failed = namespace.wait_for("datapipeline", "documents", is_condition("Failed"))
    match = condition(failed, "Stalled")
    assert match is not None
    assert (match["status"], match["reason"]) == ("True", "UserError")
    assert "/pretrain/data/raw/*.jsonl" in match["message"]

    tenant.write_documents()
    namespace.kubectl("annotate", "datapipeline", "documents", f"{RETRY_ANNOTATION}=1")
    namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 180)


def test_an_edit_keeps_the_old_artifact_until_the_new_one_is_complete(
    tenant: Tenant,
) -> None:
    namespace = tenant.namespace
    tenant.write_documents()
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    first = namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 180)
    long_only = [{"length": {"minCharacters": 100_000}}, {"length": {"minCharacters": 10}}]
    for rules in (long_only, [{"length": {"minCharacters": 10}}]):
        tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1, rules=rules))
    during = namespace.wait_for("datapipeline", "documents", is_condition("Reconciling"))
    assert during["status"]["artifact"] == first["status"]["artifact"]
    after = namespace.wait_for(
        "datapipeline",
        "documents",
        lambda item: is_condition("Ready")(item) and item["status"]["observedGeneration"] == 3,
        180,
    )
    assert after["status"]["artifact"] != first["status"]["artifact"]
    jobs = {stage["job"] for stage in after["status"]["stages"]}
    assert {job["metadata"]["name"] for job in namespace.list("jobs", OWNED)} == jobs


def test_a_missing_secret_is_reported_with_its_keys_until_it_is_created(
    tenant: Tenant,
) -> None:
    namespace = tenant.namespace
    tenant.write_documents()
    output = {
        "uri": "file:///pretrain/data/artifacts",
        "credentialsSecretRef": {"name": "storage"},
    }
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1, output=output))
    waiting = namespace.wait_for(
        "datapipeline",
        "documents",
        lambda item: has_condition(item, "DataReady", "False", "SecretNotFound"),
    )
    match = condition(waiting, "DataReady")
    assert match is not None
    assert f"no Secret storage in namespace {namespace.name}" in match["message"]
    assert "endpoint, accessKey, secretKey" in match["message"]
    assert namespace.list("jobs", OWNED) == []

    keys = ("endpoint", "accessKey", "secretKey")
    literals = [f"--from-literal={key}=x" for key in keys]
    namespace.kubectl("create", "secret", "generic", "storage", *literals)
    namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 180)


def test_a_job_that_the_api_server_refuses_is_reported_and_retried(
    tenant: Tenant,
) -> None:
    namespace = tenant.namespace
    tenant.write_documents()
    tenant.write_profile(nodeSelector={"no label!": "x"})
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    blocked = namespace.wait_for(
        "datapipeline",
        "documents",
        lambda item: has_condition(item, "Stalled", "True", "ChildRejected"),
    )
    assert "no label!" in blocked["status"]["message"]
    tenant.write_profile()
    namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 180)


def test_a_task_that_nodes_evict_too_often_fails_its_stage(tenant: Tenant) -> None:
    namespace = tenant.namespace
    # Its pods match no node, so that the test can write their status in place of the kubelet.
    tenant.write_profile(nodeSelector={"nowhere": "true"})
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    evicted: set[str] = set()
    for _ in range(4):
        name = wait_until(partial(_waiting_pod, tenant, evicted), "another pod", 120)
        evicted.add(name)
        target = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
        ended = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
        status = {**ended, "conditions": [target]}
        patch = ("patch", "pod", name, "--subresource=status", "-p", json.dumps({"status": status}))
        namespace.kubectl(*patch)
    failed = namespace.wait_for("datapipeline", "documents", is_condition("Failed"))
    assert "nodes have evicted its pod 4 times: low on memory" in failed["status"]["message"]
    (job,) = namespace.list("jobs", OWNED)
    stopped = namespace.wait_for(
        "job", job["metadata"]["name"], lambda item: item["spec"]["parallelism"] == 0
    )
    assert not stopped["status"].get("failed")


def _waiting_pod(tenant: Tenant, but: set[str]) -> str | None:
    """Return the name of a pod of the pipeline that waits for a node."""
    pods = tenant.namespace.list("pods", OWNED)
    names = [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Pending"]
    return next((name for name in names if name not in but), None)


def test_a_name_that_is_too_long_is_not_accepted(tenant: Tenant) -> None:
    with pytest.raises(KubectlError, match="has 70 characters; use at most 63"):
        tenant.apply("DataPipeline", "x" * 70, pipeline_spec())


def test_a_missing_profile_is_reported_until_it_is_created(tenant: Tenant) -> None:
    namespace = tenant.namespace
    tenant.write_documents()
    tenant.remove()
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    waiting = namespace.wait_for(
        "datapipeline",
        "documents",
        lambda item: has_condition(item, "DataReady", "False", "ProfileNotFound"),
    )
    assert tenant.profile in waiting["status"]["message"]
    tenant.write_profile()
    namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 180)


def test_killing_the_operator_during_any_stage_changes_nothing_in_the_end(
    tenant: Tenant, operator: OperatorProcess
) -> None:
    namespace = tenant.namespace
    tenant.write_documents()
    tenant.apply("DataPipeline", "documents", pipeline_spec())
    for stage in ("list", "prepare", "decide", "report"):
        running = f"{OWNED},pretrain.dev/stage={stage}"
        wait_until(partial(_jobs, tenant, running), stage, 120)
        operator.kill()
        operator.start()
    done = namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 180)
    assert done["status"]["summary"]["kept"] == 40
    jobs = namespace.list("jobs", OWNED)
    assert sorted(job["metadata"]["labels"]["pretrain.dev/stage"] for job in jobs) == sorted(STAGES)
    assert not any(job["status"].get("failed") for job in jobs)
