"""A run that has started keeps the layout that the planner chose for it."""

from builders import profile_spec, run_spec
from reconciles import simulate, with_chain
from simulation import Simulation


def test_a_profile_that_offers_more_devices_replaces_no_attempt() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        simulation.apply("PretrainJob", "run", spec=run_spec(parallelism={"nodes": 2}))
        simulation.pods.unschedulable = True
        await simulation.run()
        more = profile_spec(accelerator={"name": "cpu", "perNode": 4})
        simulation.server.put("ComputeProfile", {"metadata": {"name": "cpu"}, "spec": more})
        await simulation.run()
        (attempt,) = simulation.object("PretrainJob", "run")["status"]["attempts"]
        assert "reason" not in attempt
        simulation.pods.unschedulable = False
        await simulation.run()
        status = simulation.object("PretrainJob", "run")["status"]
        assert (status["phase"], len(status["attempts"])) == ("Complete", 1)
        assert status["plan"]["worldSize"] == 4

    simulate(steps)
