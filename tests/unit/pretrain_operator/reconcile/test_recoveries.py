"""Ends of attempts and tasks, event_counts as stories: what is tried again, given up, and cured."""

from typing import Any

import pytest

from builders import profile_spec, run_spec
from memory_server import CREATED_AT
from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_api.reports import ExitClass, ExitReport
from reconciles import message, names, simulate, state, with_chain
from run_reconciles import (
    attempts,
    end_attempts,
    hold_pods,
    reasons,
    release_pods,
    with_running_run,
)
from simulation import Json, Simulation

LOST = ExitClass.INFRASTRUCTURE
BUG = ExitClass.PROGRAM_ERROR


def budgets(infrastructure: int = 20, user: int = 2) -> dict[str, Any]:
    return {"budgets": {"infrastructure": {"max": infrastructure}, "user": {"max": user}}}


def annotate(simulation: Simulation, kind: str, name: str, value: str) -> None:
    body = simulation.object(kind, name)
    meta = {**body["metadata"], "annotations": {RETRY_ANNOTATION: value}}
    simulation.server.put(kind, {**body, "metadata": meta})


def test_budgets_are_counted_on_by_an_operator_that_remembers_nothing() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        end_attempts(simulation, *[LOST] * 9)
        spec = run_spec(recovery=budgets(infrastructure=2))
        simulation.apply("PretrainJob", "run", spec=spec)
        for _ in range(9):
            await simulation.start_operator()
            await simulation.settle()
            simulation.pods.step()
            await simulation.start_operator()
            await simulation.settle()
            simulation.pass_time(61)
        assert reasons(simulation) == ["infrastructure"] * 3
        assert state(simulation, "PretrainJob", "run") == ("Failed", "RestartBudgetExhausted")

    simulate(steps)


def test_a_failed_run_that_is_tried_again_counts_on_and_may_fail_as_often_as_before() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        end_attempts(simulation, BUG, BUG, BUG)
        simulation.apply("PretrainJob", "run", spec=run_spec(recovery=budgets(user=1)))
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Failed", "RestartBudgetExhausted")
        assert f"{RETRY_ANNOTATION}=1 --overwrite" in message(simulation, "PretrainJob", "run")
        await simulation.start_operator()
        await simulation.run()
        assert len(attempts(simulation)) == 2, "nothing happens by itself"
        annotate(simulation, "PretrainJob", "run", "1")
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")
        assert reasons(simulation) == ["programError"] * 3 + ["complete"]
        assert [attempt.get("retry") for attempt in attempts(simulation)] == [None, None, "1", "1"]

    simulate(steps)


def test_preemptions_cost_nothing_but_time() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        end_attempts(simulation, *[ExitClass.PREEMPTED] * 30)
        spec = run_spec(recovery=budgets(infrastructure=0, user=0))
        simulation.apply("PretrainJob", "run", spec=spec)
        start = simulation.now
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")
        assert message(simulation, "PretrainJob", "run") == "complete after 31 attempts"
        assert len(attempts(simulation)) == 20
        assert (simulation.now - start).total_seconds() > 20 * 60, "it does not spin"

    simulate(steps)


@pytest.mark.parametrize(
    ("reason", "want"),
    [
        (ExitClass.USER_ERROR, ("Failed", "UserError")),
        (ExitClass.BAD_DATA, ("Failed", "BadData")),
    ],
)
def test_what_only_the_user_can_cure_is_tried_once(
    reason: ExitClass, want: tuple[str, str]
) -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        end_attempts(simulation, reason, message="block 3: is cut")
        simulation.apply("PretrainJob", "run")
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == want
        assert message(simulation, "PretrainJob", "run").startswith("block 3: is cut; to retry")
        assert len(attempts(simulation)) == 1

    simulate(steps)


def lose_node(simulation: Simulation, rank: int) -> None:
    """Let the node of one pod fall silent: its Job fails, and the pod never confirms its end."""
    for name in hold_pods(simulation, "run-a1"):
        pod = simulation.object("Pod", name)
        if name.startswith(f"run-a1-{rank}-"):
            meta = {**pod["metadata"], "deletionTimestamp": CREATED_AT}
            simulation.server.put("Pod", {**pod, "metadata": meta})
        else:
            simulation.server.put("Pod", {**pod, "status": {"phase": "Failed"}})
    job = simulation.object("Job", "run-a1")
    failing = {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"}
    status = {**job["status"], "conditions": [failing]}
    simulation.server.put("Job", {**job, "status": status})


@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_node_is_waited_for_a_while_and_then_done_without(rank: int) -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        lose_node(simulation, rank)
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Restarting", "AttemptEnded")
        assert "run-a2" not in names(simulation, "Job")
        simulation.pass_time(31)
        await simulation.settle()
        assert reasons(simulation)[0] == "infrastructure"
        assert "run-a2" in names(simulation, "Job")

    simulate(steps)


def test_a_job_that_somebody_deletes_is_followed_by_another_attempt_from_the_checkpoint() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        simulation.server.remove("Job", "run-a1")
        await simulation.run()
        assert reasons(simulation) == ["infrastructure", "complete"]
        assert attempts(simulation)[0]["message"] == "its Job run-a1 is gone"
        assert attempts(simulation)[0]["toStep"] == 5, "how far it was is not forgotten"

    simulate(steps)


def evict(simulation: Simulation, times: int) -> None:
    """Let nodes put the pod of the running stage out so many times."""
    (job,) = simulation.server.list("Job")
    meta = job["metadata"]
    pod = simulation.object("Pod", f"{meta['name']}-0-abcde")
    disruption = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "TerminationByKubelet",
    }
    status = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "The node was low on resource: memory",
        "conditions": [disruption],
    }
    for number in range(times):
        copy = {**pod["metadata"], "name": f"{meta['name']}-0-{number:05}"}
        simulation.server.put("Pod", {**pod, "metadata": copy, "status": status})


def test_a_task_that_nodes_evict_again_and_again_stops_and_more_memory_cures_it() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")
        await simulation.settle()
        simulation.pods.step()
        evict(simulation, 3)
        await simulation.settle()
        assert state(simulation, "DataPipeline", "documents")[0] == "Running"
        evict(simulation, 4)
        await simulation.settle()
        assert state(simulation, "DataPipeline", "documents") == ("Failed", "StageFailed")
        (job,) = simulation.server.list("Job")
        assert job["spec"]["parallelism"] == 0, "its pods stay, to be looked at"
        pods = profile_spec()["pods"]
        pods = {**pods, "data": {"cpu": "2", "memory": "64Gi"}}
        simulation.edit("ComputeProfile", "cpu", pods=pods)
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")

    simulate(steps)


def test_a_stage_that_ran_out_of_memory_is_tried_again_where_there_is_more() -> None:
    async def steps(simulation: Simulation) -> None:
        limits: list[str] = []

        def outcome(job: Json, rank: int) -> ExitReport:
            (container,) = job["spec"]["template"]["spec"]["containers"]
            limits.append(container["resources"]["limits"]["memory"])
            if limits[-1] == "4Gi":
                return ExitReport(exit_class=ExitClass.OUT_OF_MEMORY, rank=rank)
            return simulation.pods.succeed(job, rank)

        simulation.pods.outcome = outcome
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Failed", "OutOfMemory")
        assert "raise spec.pods.data.memory of the ComputeProfile" in message(
            simulation, "DataPipeline", "documents"
        )
        pods = {**profile_spec()["pods"], "data": {"memory": "8Gi"}}
        simulation.edit("ComputeProfile", "cpu", pods=pods)
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")
        assert limits.count("4Gi") == 1

    simulate(steps)


def test_a_retry_of_a_complete_pipeline_reads_its_sources_again() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        before = set(names(simulation, "Job"))
        annotate(simulation, "DataPipeline", "documents", "1")
        await simulation.settle()
        assert state(simulation, "DataPipeline", "documents")[0] == "Running"
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")
        assert not before & set(names(simulation, "Job"))

    simulate(steps)


def test_pods_that_linger_after_a_failure_delay_the_next_attempt_and_no_longer() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        held = hold_pods(simulation, "run-a1")
        simulation.server.remove("Job", "run-a1")
        await simulation.settle()
        assert simulation.due, "it asks to be reconciled again: no watch tells of a silent node"
        release_pods(simulation, held)
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)
