"""The operator with exactly the permissions of the chart: none is missing."""

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest
import yaml

from builders import pipeline_spec
from cluster import Namespace, RunningCluster, is_condition, wait_until
from helm import Helm
from ports import free_port
from pretrain_local.operator_process import OperatorProcess
from tenant import Tenant

pytestmark = pytest.mark.integration

Json = dict[str, Any]
OWNED = "pretrain.dev/name=documents"
ACCOUNT = "restricted"


def granted(name: str, namespace: str) -> list[Json]:
    """Return the roles of the chart, the operator's own first, and their bindings."""
    template = "--show-only=templates/operator/rbac.yaml"
    return Helm(namespace=namespace).template(template, release=name)


@pytest.fixture
def restricted(
    local_cluster: RunningCluster,
    namespace: Namespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[OperatorProcess]:
    """Run the operator as a ServiceAccount that may do what the chart says, and nothing else."""
    local_cluster.install_crds()
    namespace.kubectl("create", "serviceaccount", ACCOUNT)
    manifests = granted(namespace.name, namespace.name)
    for binding in manifests:
        for subject in binding.get("subjects", ()):
            subject["name"] = ACCOUNT
    namespace.apply(*manifests)
    config = yaml.safe_load(local_cluster.kubeconfig.read_text(encoding="utf-8"))
    token = namespace.kubectl("create", "token", ACCOUNT, "--duration=1h").strip()
    for user in config["users"]:
        user["user"] = {"token": token}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setenv("PRETRAIN_LEASE", f"{namespace.name}/{namespace.name}")
    monkeypatch.setenv("PRETRAIN_PROBE_PORT", str(free_port()))
    with OperatorProcess(kubeconfig, tmp_path) as running:
        yield running
    for kind in ("clusterrole", "clusterrolebinding"):
        local_cluster.kubectl("delete", kind, namespace.name, f"{namespace.name}-profiles")


def test_a_pipeline_that_is_blocked_and_edited_needs_no_more_than_the_chart_grants(
    restricted: OperatorProcess, namespace: Namespace, tmp_path: Path
) -> None:
    tenant = Tenant(namespace, tmp_path)
    tenant.write_documents()
    namespace.kubectl("create", "quota", "tight", "--hard=pods=0")
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    namespace.wait_for(
        "datapipeline",
        "documents",
        lambda item: "exceeded quota" in item.get("status", {}).get("message", ""),
    )
    edited = pipeline_spec(tasks=1, rules=[{"length": {"minCharacters": 10}}])
    (old,) = namespace.list("jobs", OWNED)
    tenant.apply("DataPipeline", "documents", edited)
    wait_until(lambda: namespace.get("job", old["metadata"]["name"]) is None or None, "an edit")
    namespace.kubectl("delete", "quota", "tight")
    namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 240)
    reasons = {item["reason"] for item in namespace.list("events")}
    assert {"Accepted", "WaitingForPods", "StageFinished", "Complete"} <= reasons
    account = f"--as=system:serviceaccount:{namespace.name}:{ACCOUNT}"
    for right in (
        ("get", "services"),  # of a run
        ("create", "services"),
        ("patch", "services"),
        ("delete", "pods"),  # when a node is lost
        ("patch", "pods", "--subresource=status"),
    ):
        assert namespace.kubectl("auth", "can-i", *right, account).strip() == "yes"
    log = restricted.log.read_text(encoding="utf-8")
    assert "forbidden: User" not in log, log
    restricted.stop()
    lease = namespace.get("lease", namespace.name)
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 1
    assert not lease["spec"].get("holderIdentity"), "an operator that stops hands the Lease over"
    tenant.remove()


def probe(path: str) -> tuple[int, str] | None:
    """Return what a probe of the operator answers; `None` while it does not."""
    url = f"http://127.0.0.1:{os.environ['PRETRAIN_PROBE_PORT']}{path}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except URLError:
        return None


def is_answer(path: str, status: int, part: str) -> str | None:
    """Return the text of a probe once it has this status and this part."""
    answer = probe(path)
    return answer[1] if answer and answer[0] == status and part in answer[1] else None


def test_a_missing_permission_is_told_by_the_probe_in_the_words_of_the_api_server(
    restricted: OperatorProcess, namespace: Namespace
) -> None:
    wait_until(lambda: is_answer("/readyz", 200, "ok"), "an operator that is ready")
    role, *_ = granted(namespace.name, namespace.name)
    without_pods = [rule for rule in role["rules"] if rule["resources"] != ["pods"]]
    restricted.stop()
    namespace.apply({**role, "rules": without_pods})
    restricted.start()
    told = wait_until(lambda: is_answer("/readyz", 503, "forbidden"), "an operator that is not")
    assert 'cannot list resource "pods"' in told
    assert is_answer("/healthz", 200, "ok"), "a new process would not help yet"
    metrics = is_answer("/metrics", 200, "rest_client_requests_total")
    assert metrics is not None
    assert 'rest_client_requests_total{code="403",method="GET"}' in metrics
    namespace.apply(role)
    wait_until(lambda: is_answer("/readyz", 200, "ok"), "an operator that is ready again")
