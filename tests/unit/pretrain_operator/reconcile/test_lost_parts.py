"""What an object loses while it runs: its children, the nodes of its pods; what keeps it alive."""

from datetime import timedelta
from typing import Any

import pytest

from builders import pipeline_spec
from pretrain_operator.observed.clock import format_time
from pretrain_operator.plan.plans import HURRY_SECONDS
from reconciles import message, names, simulate, state, with_chain
from run_reconciles import attempts, reasons, with_running_run
from simulation import Simulation

GRACE = 120


def change_pod(simulation: Simulation, name: str, **meta: Any) -> None:
    """Change the metadata of a pod."""
    pod = simulation.object("Pod", name)
    simulation.server.put("Pod", {**pod, "metadata": {**pod["metadata"], **meta}})


def silence(simulation: Simulation, name: str) -> None:
    """Let the node of a pod answer no more, as Kubernetes shows it."""
    pod = simulation.object("Pod", name)
    conditions = [
        {"type": "Ready", "status": "False"},
        {"type": "ContainersReady", "status": "True"},
    ]
    status = {**pod["status"], "conditions": conditions}
    simulation.server.put("Pod", {**pod, "status": status})


def give_up(simulation: Simulation, name: str) -> None:
    """Delete a pod whose node never confirms it."""
    deadline = format_time(simulation.now + timedelta(seconds=GRACE))
    meta = {"deletionTimestamp": deadline, "deletionGracePeriodSeconds": GRACE}
    change_pod(simulation, name, **meta, finalizers=["node/silent"])


def test_an_attempt_on_a_silent_node_is_told_at_once_and_over_as_soon_as_its_pod_is_given_up() -> (
    None
):
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation, parallelism={"nodes": 2})
        (lost, peer) = [name for name in names(simulation, "Pod") if name.startswith("run-a1")]
        change_pod(simulation, peer, finalizers=["node/not-yet"])
        silence(simulation, lost)
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Running", "NodeUnreachable")
        assert "no answer from node-1" in message(simulation, "PretrainJob", "run")
        assert reasons(simulation) == [None]

        give_up(simulation, lost)
        await simulation.settle()
        assert reasons(simulation)[0] == "infrastructure"
        assert attempts(simulation)[0]["message"].startswith(
            f"pod {lost} was lost with node node-1"
        )
        assert "cause" not in attempts(simulation)[0]
        assert "run-a1" not in names(simulation, "Job"), "its Job would wait for ever"
        deletions = [path for method, path in simulation.server.requests if method == "delete"]
        assert any(path.endswith(f"/pods/{peer}") for path in deletions), "a peer gets 10 s"
        assert HURRY_SECONDS == 10
        change_pod(simulation, peer, finalizers=[])
        simulation.server.remove("Pod", peer)
        await simulation.settle()
        assert "run-a2" in names(simulation, "Job"), "the lost pod is not waited for"

    simulate(steps)


def test_a_task_on_a_silent_node_is_declared_failed_so_that_its_job_replaces_it() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.settle()
        assert simulation.pods.step()
        (lost,) = names(simulation, "Pod")
        silence(simulation, lost)
        await simulation.settle()
        assert "no answer from node-1" in message(simulation, "DataPipeline", "documents")
        give_up(simulation, lost)
        await simulation.settle()
        status = simulation.object("Pod", lost)["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "NodeLost")
        assert state(simulation, "DataPipeline", "documents")[0] == "Running"

    simulate(steps)


@pytest.mark.parametrize("kind", ["Service", "ConfigMap"])
def test_what_starting_pods_need_is_created_again(kind: str) -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        simulation.server.progress.clear()  # rank 0 does not train yet
        before = [name for name in names(simulation, kind) if name.startswith("run-")]
        for name in before:
            simulation.server.remove(kind, name)
        await simulation.start_operator()  # it does not remember when it has last looked
        await simulation.settle()
        assert [name for name in names(simulation, kind) if name.startswith("run-")] == before

    simulate(steps)


@pytest.mark.parametrize("finalizer", ["team/audit", "orphan"])
def test_a_deleted_object_that_a_finalizer_keeps_runs_no_longer(finalizer: str) -> None:
    """Unless its children were asked to stay."""

    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        simulation.apply(
            "DataPipeline", "kept", spec=pipeline_spec(), metadata={"finalizers": [finalizer]}
        )
        await simulation.settle()
        jobs = [name for name in names(simulation, "Job") if name.startswith("kept-")]
        assert len(jobs) == 1
        simulation.server.remove("DataPipeline", "kept")
        await simulation.settle()
        assert simulation.object("DataPipeline", "kept")["metadata"]["deletionTimestamp"]
        left = [name for name in names(simulation, "Job") if name.startswith("kept-")]
        assert left == (jobs if finalizer == "orphan" else [])

    simulate(steps)
