"""Two operators at the same time, as during an upgrade: the end state is that of one."""

from collections.abc import Iterator
from typing import Any

import pytest

from builders import pipeline_spec, tokenizer_spec
from cluster import RunningCluster, is_condition
from pretrain_local.operator_process import OperatorProcess
from tenant import Tenant

pytestmark = pytest.mark.integration

Json = dict[str, Any]


@pytest.fixture
def second(
    local_cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """Run another operator beside the first one."""
    folder = tmp_path_factory.mktemp("second-operator")
    with OperatorProcess(local_cluster.kubeconfig, folder) as running:
        yield running
    log = running.log.read_text(encoding="utf-8")
    assert "an error of ours" not in log, log


def make_all(tenant: Tenant, suffix: str) -> list[Json]:
    """Make a pipeline and a tokenizer, and return them when they are ready."""
    namespace, documents, tokens = tenant.namespace, f"documents{suffix}", f"tokens{suffix}"
    tenant.apply("DataPipeline", documents, pipeline_spec())
    corpus = {"pipelineRef": {"name": documents}}
    tenant.apply("Tokenizer", tokens, tokenizer_spec(vocabularySize=512, corpus=corpus))
    ready = is_condition("Ready")
    return [
        namespace.wait_for("datapipeline", documents, ready, 240),
        namespace.wait_for("tokenizer", tokens, ready, 240),
    ]


def test_two_operators_reach_the_same_end_state_as_one(
    tenant: Tenant, second: OperatorProcess
) -> None:
    tenant.write_documents()
    both = make_all(tenant, "-of-two")
    second.check()
    second.stop()
    one = make_all(tenant, "-of-one")
    digests = [item["status"]["artifact"]["digest"] for item in (both[0], one[0])]
    assert digests[0] == digests[1]
    assert [_end(item) for item in both] == [_end(item) for item in one]
    for item in both:
        jobs = _owned(tenant, "jobs", item)
        assert len(jobs) == len(item["status"]["stages"])
        assert not any(job["status"].get("failed") for job in jobs)
        assert len(_owned(tenant, "configmaps", item)) == len(jobs)
        tasks = sum(job["spec"]["completions"] for job in jobs)
        assert len(_owned(tenant, "pods", item)) == tasks


def _owned(tenant: Tenant, kind: str, item: Json) -> list[Json]:
    return tenant.namespace.list(kind, f"pretrain.dev/name={item['metadata']['name']}")


def _end(item: Json) -> Json:
    """Return the parts of a status that do not depend on names and times."""
    status = item["status"]
    shown = ("name", "tasks", "succeeded", "counts")
    return {
        "phase": status["phase"],
        "summary": status["summary"],
        "stages": [{field: stage.get(field) for field in shown} for stage in status["stages"]],
        "conditions": {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]},
    }
