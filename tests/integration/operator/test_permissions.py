"""The operator with exactly the permissions of the chart: none is missing."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import pipeline_spec
from cluster import ROOT, Namespace, RunningCluster, is_condition, wait_until
from pretrain_local.operator_process import OperatorProcess
from tenant import Tenant

pytestmark = pytest.mark.integration

Json = dict[str, Any]
OWNED = "pretrain.dev/name=documents"
ACCOUNT = "restricted"


def granted(name: str, namespace: str) -> list[Json]:
    """Return the role of the chart, and its binding, with the default values."""
    text = (ROOT / "charts/pretrain-operator/templates/rbac.yaml").read_text(encoding="utf-8")
    text = re.sub(r"\{\{- if .*?\{\{- end \}\}", "", text, flags=re.DOTALL)
    text = text.replace("{{ .Release.Name }}", name)
    text = text.replace("{{ .Release.Namespace }}", namespace)
    return [*yaml.safe_load_all(text)]


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
    with OperatorProcess(kubeconfig, tmp_path) as running:
        yield running
    for kind in ("clusterrole", "clusterrolebinding"):
        local_cluster.kubectl("delete", kind, namespace.name)


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
    for verb, resource in (
        ("get", "services"),  # of a run
        ("create", "services"),
        ("patch", "services"),
        ("delete", "pods"),  # when a node is lost
        ("patch", "pods/status"),
    ):
        assert namespace.kubectl("auth", "can-i", verb, resource, account).strip() == "yes"
    log = restricted.log.read_text(encoding="utf-8")
    assert "forbidden: User" not in log, log
    restricted.stop()
    lease = namespace.get("lease", namespace.name)
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 1
    assert not lease["spec"].get("holderIdentity"), "an operator that stops hands the Lease over"
    tenant.remove()
