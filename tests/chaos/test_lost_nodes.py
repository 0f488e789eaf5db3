"""Nodes that stop answering: the next attempt's pods exist within two minutes, with defaults."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from builders import pipeline_spec, small_run_spec
from chaos.standin_node import StandInNode, stand_in
from cluster import Namespace, RunningCluster, report, wait_until
from pretrain_local.control_plane.components import NODE
from pretrain_local.operator_process import OperatorProcess
from tenant import Tenant

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

Json = dict[str, Any]
RUN = "pretrain.dev/kind=pretrainjob,pretrain.dev/name=run"
LIMIT = 120.0
"""Seconds from the loss of a node to the pods of the next attempt."""


def endless_run() -> Json:
    """Return a run of two pods that trains for longer than any test."""
    return small_run_spec(steps=100_000, save_every=100)


@pytest.fixture
def ready(tenant: Tenant) -> Tenant:
    """Give a tenant whose token blocks are ready."""
    tenant.make_blocks()
    return tenant


def pods_of(namespace: Namespace, attempt: int, count: int = 2) -> list[Json] | None:
    """Return the pods of an attempt that are on a node, once there are `count`."""
    pods = namespace.list("pods", f"{RUN},pretrain.dev/attempt={attempt}")
    placed = [pod for pod in pods if pod["spec"].get("nodeName")]
    return placed if len(placed) == count else None


@contextmanager
def stopped_agent(cluster: RunningCluster) -> Iterator[None]:
    """Stop the agent of the cluster's node, and with it its heartbeats; its pods go on."""
    assert cluster.local is not None
    (pid,) = (one.pid for one in cluster.local.status() if one.name == NODE)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def message_of(namespace: Namespace, part: str, seconds: float = LIMIT) -> float:
    """Wait until the run's message has `part`; return when."""
    namespace.wait_for(
        "pretrainjob", "run", lambda run: part in run.get("status", {}).get("message", ""), seconds
    )
    return time.monotonic()


def test_a_run_whose_only_node_is_lost_starts_again_on_another(
    ready: Tenant, local_cluster: RunningCluster, operator: OperatorProcess
) -> None:
    """The old pods train on, unseen; they end by themselves or when the node is back."""
    namespace = ready.namespace
    with stand_in(local_cluster, "spare") as spare:
        spare.register(unschedulable=True)
        ready.apply("PretrainJob", "run", endless_run())
        namespace.wait_for(
            "pretrainjob", "run", lambda run: "checkpoint" in run.get("status", {}), 240
        )
        with stopped_agent(local_cluster):
            lost_at = time.monotonic()
            spare.uncordon()
            told = message_of(namespace, "no answer from") - lost_at
            operator.kill()  # a new process must find the same
            operator.start()
            wait_until(lambda: pods_of(namespace, 2), "pods of attempt 2", LIMIT)
            taken = time.monotonic() - lost_at
        attempts = namespace.wait_for("pretrainjob", "run", lambda _: True)["status"]["attempts"]
        assert attempts[0]["reason"] == "infrastructure"
        assert "which does not answer" in attempts[0]["message"]
        report(f"told after {told:.0f} s, the next pods exist after {taken:.0f} s")
        assert taken <= LIMIT
    # The machine is gone for good: Kubernetes deletes its pods, and the run comes back.
    resumed = wait_until(
        lambda: pods_of(namespace, 3),
        "pods of attempt 3",
        180,
        lambda: [
            namespace.get("pretrainjob", "run"),
            namespace.list("pods"),
            namespace.list("jobs"),
        ],
    )
    assert {pod["spec"]["nodeName"] for pod in resumed}.isdisjoint({"spare"})
    namespace.wait_for(
        "pretrainjob", "run", lambda run: run["status"]["progress"].get("attempt") == 3, 120
    )


def test_the_peers_of_a_lost_pod_do_not_wait_for_it(
    ready: Tenant, local_cluster: RunningCluster
) -> None:
    namespace = ready.namespace
    with stand_in(local_cluster, "silent") as silent:
        silent.register()
        ready.write_profile(trainer={"cpu": "40"})  # one pod a node
        ready.apply("PretrainJob", "run", endless_run())
        pods = wait_until(lambda: pods_of(namespace, 1), "pods of attempt 1")
        (there,) = (pod for pod in pods if pod["spec"]["nodeName"] == silent.name)
        silent.run_pod(namespace.name, there["metadata"]["name"])
        message_of(namespace, "attempt 1 runs on 2 pods")
        ready.write_profile(trainer={"cpu": "20"})  # the next attempt has room on one node
        lost_at = _stop(silent)
        told = message_of(namespace, "no answer from silent") - lost_at
        wait_until(lambda: pods_of(namespace, 2), "pods of attempt 2", LIMIT)
        taken = time.monotonic() - lost_at
        report(f"told after {told:.0f} s, the next pods exist after {taken:.0f} s")
        assert taken <= LIMIT


def test_the_tasks_of_a_stage_on_a_lost_node_run_again_elsewhere(
    tenant: Tenant, local_cluster: RunningCluster
) -> None:
    namespace = tenant.namespace
    tenant.write_documents(count=60)
    with stand_in(local_cluster, "silent") as silent:
        silent.register()
        tenant.write_profile(data={"cpu": "10"}, nodeSelector={"kubernetes.io/hostname": "silent"})
        tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
        labels = "pretrain.dev/kind=datapipeline"
        (pod,) = wait_until(lambda: namespace.list("pods", labels) or None, "a pod of a stage")
        silent.run_pod(namespace.name, pod["metadata"]["name"])
        _stop(silent)
        namespace.wait_for(
            "datapipeline",
            "documents",
            lambda item: "no answer from silent" in item.get("status", {}).get("message", ""),
            LIMIT,
        )

        def replaced() -> bool | None:
            names = {one["metadata"]["name"] for one in namespace.list("pods", labels)}
            return True if names - {pod["metadata"]["name"]} else None

        wait_until(replaced, "another pod of the task", LIMIT)


def _stop(node: StandInNode) -> float:
    node.stop()
    return time.monotonic()
