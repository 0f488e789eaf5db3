"""Many objects at once: each is done once, and costs no more than it would alone."""

from collections import Counter

import pytest

from builders import profile_spec, run_spec, tokenizer_spec
from pretrain_api.reports import ExitClass, ExitReport
from reconciles import names, simulate, state, with_chain
from simulation import Json, Simulation

RUNS = 30
WRITES_OF_A_RUN = 18
"""ConfigMap, Service, Job; statuses of its steps; an Event for each thing that has happened."""


def run_of(path: str) -> str:
    """Return the run that a request is about, by the names in its path; empty for others."""
    parts = [part for part in path.split("/") if part.startswith("run-")]
    return "-".join(parts[0].split(".")[0].split(":")[0].split("-")[:2]) if parts else ""


def test_many_runs_settle_each_with_a_bounded_number_of_requests() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        simulation.server.requests.clear()
        before = simulation.server.writes
        for number in range(RUNS):
            simulation.apply("PretrainJob", f"run-{number}")
        await simulation.run()
        for number in range(RUNS):
            assert state(simulation, "PretrainJob", f"run-{number}") == ("Complete", "Complete")
            assert f"run-{number}-a2" not in names(simulation, "Job")
        assert simulation.server.writes - before <= RUNS * WRITES_OF_A_RUN
        requests = Counter(run_of(path) for _, path in simulation.server.requests)
        assert max(requests[f"run-{number}"] for number in range(RUNS)) <= 2 * WRITES_OF_A_RUN
        reads = [path for method, path in simulation.server.requests if method == "get"]
        assert len(reads) <= 2 * RUNS, "what is watched is not read again"

    simulate(steps)


def test_a_restart_beside_many_finished_runs_costs_the_lists_only() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        for number in range(RUNS):
            simulation.apply("PretrainJob", f"run-{number}")
        await simulation.run()
        simulation.server.requests.clear()
        before = simulation.server.writes
        await simulation.start_operator()
        await simulation.run()
        assert simulation.server.writes == before
        assert len(simulation.server.requests) == 7

    simulate(steps)


def test_a_profile_that_changes_wakes_all_and_writes_to_none_that_is_done() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        for number in range(RUNS // 5):
            simulation.apply("DataPipeline", f"p-{number}")
        await simulation.run()
        before = simulation.server.writes
        simulation.edit("ComputeProfile", "cpu", **profile_spec(pods={"env": {"A": "1"}}))
        await simulation.run()
        assert simulation.server.writes - before <= 1, "only the profile's own status"

    simulate(steps)


def test_one_pipeline_that_many_wait_for_wakes_each_of_them_once() -> None:
    async def steps(simulation: Simulation) -> None:
        corpus = {"pipelineRef": {"name": "documents"}}
        for number in range(RUNS):
            spec = tokenizer_spec(corpus=corpus)
            simulation.apply("Tokenizer", f"t-{number}", spec=spec)
        await simulation.settle()
        simulation.apply("DataPipeline", "documents")
        await simulation.settle()
        waiting = simulation.server.writes
        simulation.pods.step()
        await simulation.settle()
        assert simulation.server.writes - waiting < 10, "its steps are not the others' business"
        await simulation.run()
        for number in range(RUNS):
            assert state(simulation, "Tokenizer", f"t-{number}") == ("Complete", "Complete")
        assert len(names(simulation, "Job")) == 6 + RUNS

    simulate(steps)


@pytest.mark.parametrize("failing", [1, 15])
def test_runs_that_fail_do_not_touch_those_beside_them(failing: int) -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()

        def outcome(job: Json, rank: int) -> ExitReport:
            number = int(job["metadata"]["name"].split("-")[1])
            if number < failing:
                return ExitReport(exit_class=ExitClass.PROGRAM_ERROR, rank=rank)
            return simulation.pods.succeed(job, rank)

        simulation.pods.outcome = outcome
        strict = {"budgets": {"user": {"max": 1}}}
        for number in range(RUNS):
            simulation.apply("PretrainJob", f"run-{number}", spec=run_spec(recovery=strict))
        await simulation.run()
        phases = Counter(
            state(simulation, "PretrainJob", f"run-{number}")[0] for number in range(RUNS)
        )
        assert phases == {"Failed": failing, "Complete": RUNS - failing}

    simulate(steps)
