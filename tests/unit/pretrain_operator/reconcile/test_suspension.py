"""Runs that are suspended, by the user or by a queue, or deleted some time after their end."""

from typing import Any

import pytest

from builders import make_body, run_spec
from pretrain_api.reports import ExitClass
from reconciles import message, names, simulate, state, with_chain
from run_reconciles import (
    attempts,
    end_attempts,
    hold_pods,
    preempt_first,
    reasons,
    release_pods,
    with_running_run,
)
from simulation import Simulation

QUEUE = "kueue.x-k8s.io/queue-name"


async def with_queued_run(simulation: Simulation) -> None:
    """Apply a run that a queue admits, as the label says."""
    with_chain(simulation)
    await simulation.run()
    simulation.apply("PretrainJob", "run", metadata={"labels": {QUEUE: "research"}})
    await simulation.settle()


def change_job(simulation: Simulation, name: str, **spec: Any) -> None:
    """Change a Job as a queue does."""
    job = simulation.object("Job", name)
    simulation.server.put("Job", {**job, "spec": {**job["spec"], **spec}})


def test_a_run_with_a_queue_starts_when_the_queue_lets_it() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_queued_run(simulation)
        job = simulation.object("Job", "run-a1")
        assert job["metadata"]["labels"][QUEUE] == "research"
        assert job["spec"]["suspend"] is True
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Queued", "Queued")
        assert "is suspended by its queue" in message(simulation, "PretrainJob", "run")
        change_job(simulation, "run-a1", suspend=False)
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")
        assert len(attempts(simulation)) == 1

    simulate(steps)


def test_the_operator_never_takes_a_job_from_its_queue() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_queued_run(simulation)
        for suspend in (False, True, False, True):
            change_job(simulation, "run-a1", suspend=suspend)
            await simulation.start_operator()
            await simulation.settle()
            assert simulation.object("Job", "run-a1")["spec"]["suspend"] is suspend

    simulate(steps)


def test_every_attempt_queues_anew() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_queued_run(simulation)
        preempt_first(simulation)
        change_job(simulation, "run-a1", suspend=False)
        await simulation.run()
        assert reasons(simulation) == ["preempted", None]
        assert simulation.object("Job", "run-a2")["spec"]["suspend"] is True
        change_job(simulation, "run-a2", suspend=False)
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)


def test_a_suspended_run_ends_in_order_and_goes_on_where_it_was_without_being_charged() -> None:
    async def steps(simulation: Simulation) -> None:
        strict = {"budgets": {"infrastructure": {"max": 0}, "user": {"max": 0}}}
        await with_running_run(simulation, recovery=strict)
        held = hold_pods(simulation, "run-a1")
        simulation.edit("PretrainJob", "run", suspend=True)
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Suspended", "Suspended")
        assert "run-a1" not in names(simulation, "Job")
        simulation.edit("PretrainJob", "run", suspend=False)
        await simulation.settle()
        assert "run-a2" not in names(simulation, "Job"), "its pods are still saving"
        release_pods(simulation, held)
        await simulation.run()
        assert reasons(simulation) == ["suspended", "complete"]
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)


def test_a_run_that_is_suspended_between_two_attempts_starts_none() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        end_attempts(simulation, *[ExitClass.PREEMPTED] * 3)
        simulation.apply("PretrainJob", "run")
        for _ in range(4):
            await simulation.settle()
            simulation.pods.step()
        assert simulation.due, "the third attempt waits for its turn"
        simulation.edit("PretrainJob", "run", suspend=True)
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Suspended", "Suspended")
        count = len(attempts(simulation))
        simulation.pass_time(3600)
        await simulation.run()
        assert len(attempts(simulation)) == count
        simulation.edit("PretrainJob", "run", suspend=False)
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)


def test_a_run_that_is_suspended_while_it_completes_is_complete() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        simulation.pods.step()
        simulation.edit("PretrainJob", "run", suspend=True)
        await simulation.run()
        assert reasons(simulation) == ["complete"]
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)


@pytest.mark.parametrize(
    ("end", "reason"),
    [(ExitClass.COMPLETE, "Complete"), (ExitClass.USER_ERROR, "UserError")],
)
def test_a_run_without_time_to_live_after_its_end_says_how_it_ended_before_it_goes(
    end: ExitClass, reason: str
) -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        if end is not ExitClass.COMPLETE:
            end_attempts(simulation, end)
        simulation.apply("PretrainJob", "run", spec=run_spec(ttlAfterFinished="0s"))
        await simulation.run()
        assert simulation.server.get("PretrainJob", "run") is None
        assert [job for job in names(simulation, "Job") if job.startswith("run-")] == []
        events = simulation.server.list("Event")
        ours = {e["reason"] for e in events if e["regarding"]["kind"] == "PretrainJob"}
        assert reason in ours

    simulate(steps)


def test_time_to_live_begins_with_the_end_and_not_with_the_start_of_an_operator() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        simulation.apply("PretrainJob", "run", spec=run_spec(ttlAfterFinished="1h"))
        await simulation.settle()
        for _ in range(2):
            simulation.pods.step()
            await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")
        simulation.pass_time(3599)
        await simulation.start_operator()
        await simulation.settle()
        assert simulation.server.get("PretrainJob", "run") is not None
        simulation.pass_time(1)
        await simulation.settle()
        assert simulation.server.get("PretrainJob", "run") is None

    simulate(steps)


def test_a_successor_is_not_deleted_in_the_place_of_the_run_whose_time_is_over() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        simulation.apply("PretrainJob", "run", spec=run_spec(ttlAfterFinished="1h"))
        await simulation.settle()
        while simulation.pods.step():
            await simulation.settle()
        successor = make_body("PretrainJob", "run")
        controller = simulation.controller
        assert controller is not None
        simulation.server.watchers = []  # the operator does not hear of it
        simulation.server.remove("PretrainJob", "run")
        for server_made in ("uid", "generation", "resourceVersion"):
            successor["metadata"].pop(server_made)
        simulation.server.put("PretrainJob", successor)
        simulation.pass_time(3600)
        await simulation.settle()
        assert simulation.server.get("PretrainJob", "run") is not None

    simulate(steps)


def test_every_stage_of_a_pipeline_waits_in_its_queue() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("ComputeProfile", "cpu")
        simulation.apply("DataPipeline", "documents", metadata={"labels": {QUEUE: "research"}})
        stages = 0
        for _ in range(20):
            await simulation.run()
            jobs = [job for job in simulation.server.list("Job") if job["spec"].get("suspend")]
            if not jobs:
                break
            (job,) = jobs
            assert job["metadata"]["labels"][QUEUE] == "research"
            assert state(simulation, "DataPipeline", "documents") == ("Queued", "Queued")
            assert job["metadata"]["name"] in message(simulation, "DataPipeline", "documents")
            change_job(simulation, job["metadata"]["name"], suspend=False)
            stages += 1
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")
        assert stages > 3

    simulate(steps)
