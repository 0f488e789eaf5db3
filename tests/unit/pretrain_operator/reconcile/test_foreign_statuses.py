"""Statuses that another client has written: no value of them stops the reconcile."""

import pytest

from builders import run_spec
from pretrain_api.reports import ExitClass, ExitReport
from reconciles import message, simulate, state, with_chain
from simulation import Json, Simulation

TIMES = ["yesterday", "", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"]


def write_status(simulation: Simulation, kind: str, name: str, status: object) -> None:
    simulation.server.put(kind, {**simulation.object(kind, name), "status": status})


@pytest.mark.parametrize("time", TIMES)
def test_an_attempt_with_a_strange_end_is_followed_by_another(time: str) -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        simulation.apply("PretrainJob", "run")
        ends = [
            {"number": number, "job": f"run-a{number}", "reason": "hang", "endedAt": time}
            for number in (1, 2)
        ]
        write_status(simulation, "PretrainJob", "run", {"attempts": ends})
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Running", "AttemptStarting")
        assert "attempt 3" in message(simulation, "PretrainJob", "run")

    simulate(steps)


def test_a_run_does_not_wait_for_the_old_time_after_its_clock_was_put_back() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()

        def outcome(job: Json, rank: int) -> ExitReport:
            return ExitReport(exit_class=ExitClass.HANG, rank=rank)

        simulation.pods.outcome = outcome
        simulation.apply("PretrainJob", "run")
        for _ in range(2):
            await simulation.settle()
            simulation.pods.step()
            await simulation.settle()
            simulation.pods.step()
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Restarting", "Restarting")
        simulation.pass_time(-30 * 86400)
        await simulation.reconcile("PretrainJob", "run")
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Running", "AttemptStarting")

    simulate(steps)


@pytest.mark.parametrize("window", ["36500d"])
def test_the_window_of_a_budget_may_be_longer_than_the_calendar(window: str) -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        budgets = {"budgets": {"infrastructure": {"max": 3, "window": window}}}
        simulation.apply("PretrainJob", "run", spec=run_spec(recovery=budgets))
        ends = [{"number": 1, "job": "run-a1", "reason": "hang", "endedAt": "2026-01-02T03:00:00Z"}]
        write_status(simulation, "PretrainJob", "run", {"attempts": ends})
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)


def test_a_run_waits_for_a_dataset_whose_status_is_better_than_its_spec() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        status = simulation.object("TokenDataset", "blocks")["status"]
        simulation.edit("TokenDataset", "blocks", sequenceLength="many")
        generation = simulation.object("TokenDataset", "blocks")["metadata"]["generation"]
        status = {**status, "observedGeneration": generation}
        write_status(simulation, "TokenDataset", "blocks", status)
        simulation.apply("PretrainJob", "run")
        await simulation.reconcile("PretrainJob", "run")
        assert state(simulation, "PretrainJob", "run") == ("Waiting", "WaitingForDependency")
        assert "its spec is invalid" in message(simulation, "PretrainJob", "run")

    simulate(steps)


@pytest.mark.parametrize("time", ["yesterday", ""])
def test_a_finished_run_whose_end_is_unreadable_lives_for_its_time_from_now(time: str) -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        simulation.apply("PretrainJob", "run", spec=run_spec(ttlAfterFinished="1m"))
        condition = {"type": "Complete", "status": "True", "reason": "Complete"}
        conditions = [{**condition, "lastTransitionTime": time}]
        write_status(simulation, "PretrainJob", "run", {"conditions": conditions})
        await simulation.settle()
        simulation.pass_time(59)
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")
        simulation.pass_time(1)
        await simulation.settle()
        assert simulation.server.get("PretrainJob", "run") is None

    simulate(steps)
