"""Events on a real API server: `kubectl describe` shows what happened, each step once."""

from typing import Any

import pytest

from builders import pipeline_spec, run_spec
from cluster import Namespace, is_condition, wait_until
from pretrain_local.operator_process import OperatorProcess
from tenant import Tenant

pytestmark = pytest.mark.integration

Json = dict[str, Any]
STAGES = ["list", "prepare", "match", "decide", "write", "report"]


def events_of(namespace: Namespace, name: str) -> list[Json]:
    """Return the events of an object of ours, oldest first."""
    events = [item for item in namespace.list("events") if item["involvedObject"]["name"] == name]
    ours = [item for item in events if item["reportingComponent"] == "pretrain.dev/operator"]
    return sorted(ours, key=lambda item: str(item["eventTime"]))


def has_event(namespace: Namespace, name: str, reason: str) -> bool:
    """Return whether an event of an object has this reason."""
    return any(item["reason"] == reason for item in events_of(namespace, name))


def test_describe_shows_each_step_of_a_pipeline_once(
    tenant: Tenant, operator: OperatorProcess
) -> None:
    namespace = tenant.namespace
    tenant.write_documents()
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 180)
    wait_until(lambda: has_event(namespace, "documents", "Complete") or None, "the last event")
    events = [(item["reason"], item["type"]) for item in events_of(namespace, "documents")]
    stages = [("StageFinished", "Normal")] * len(STAGES)
    assert events == [("Accepted", "Normal"), *stages, ("Complete", "Normal")]
    described = namespace.kubectl("describe", "datapipeline", "documents").partition("Events:")[2]
    assert all(f"stage {stage} is done" in described for stage in STAGES)

    operator.kill()
    operator.start()
    tenant.apply("DataPipeline", "later", pipeline_spec(tasks=1))
    namespace.wait_for("datapipeline", "later", is_condition("Ready"), 180)
    assert len(events_of(namespace, "documents")) == len(events)


def test_a_refusal_is_a_warning_with_its_reason(tenant: Tenant) -> None:
    """What the API server refuses has no events; what can be planned and not run yet has."""
    long = {"sequenceLength": 256, "tokens": 102_400, "globalBatchSize": 8}
    training = {**run_spec()["training"], "longContext": long}
    tenant.apply("PretrainJob", "run", run_spec(training=training))
    namespace = tenant.namespace
    (event,) = wait_until(lambda: events_of(namespace, "run") or None, "an event")
    assert (event["reason"], event["type"]) == ("InvalidSpec", "Warning")
    assert "leave longContext out" in event["message"]
