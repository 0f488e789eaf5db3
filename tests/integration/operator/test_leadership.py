"""Two operators with a Lease: one works, and the other one goes on when it dies."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import pipeline_spec
from cluster import Namespace, RunningCluster, is_condition, wait_until
from pretrain_local.operator_process import OperatorProcess
from tenant import Tenant

pytestmark = pytest.mark.integration

TAKEN_WITHIN = 20.0
"""Seconds after the death of the leader until the other operator has acted."""


@pytest.fixture
def pair(
    local_cluster: RunningCluster,
    namespace: Namespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, OperatorProcess]]:
    """Run two operators that share a Lease, by their names in it."""
    local_cluster.install_crds()
    monkeypatch.setenv("PRETRAIN_LEASE", f"{namespace.name}/operator")
    monkeypatch.setenv("PRETRAIN_NAMESPACE", namespace.name)
    operators = {}
    for name in ("first", "second"):
        monkeypatch.setenv("POD_NAME", name)
        operators[name] = OperatorProcess(local_cluster.kubeconfig, tmp_path, name)
        operators[name].start()
    try:
        yield operators
    finally:
        for operator in operators.values():
            operator.stop()


def holder(namespace: Namespace) -> str | None:
    """Return the name of the operator that leads."""
    lease = namespace.get("lease", "operator")
    return (lease["spec"].get("holderIdentity") or None) if lease else None


def test_the_second_operator_goes_on_when_the_leader_is_killed(
    pair: dict[str, OperatorProcess], namespace: Namespace, tmp_path: Path
) -> None:
    leader = wait_until(lambda: holder(namespace), "a leader")
    tenant = Tenant(namespace, tmp_path)
    tenant.write_documents()
    tenant.apply("DataPipeline", "before", pipeline_spec(tasks=1))
    namespace.wait_for("datapipeline", "before", is_condition("Ready"), 240)
    events = [event for event in namespace.list("events") if event["reason"] == "Complete"]
    assert len(events) == 1, "only one of them acts"

    pair[leader].kill()
    killed_at = time.monotonic()
    tenant.apply("DataPipeline", "after", pipeline_spec(tasks=1))
    namespace.wait_for("datapipeline", "after", lambda item: "status" in item, 2 * TAKEN_WITHIN)
    assert time.monotonic() - killed_at <= TAKEN_WITHIN
    (other,) = set(pair) - {leader}
    assert holder(namespace) == other
    namespace.wait_for("datapipeline", "after", is_condition("Ready"), 240)
    tenant.remove()
