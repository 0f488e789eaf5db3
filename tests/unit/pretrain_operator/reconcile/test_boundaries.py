"""What a reconcile asks of the cluster, and when: Secrets, progress, deletions."""

import pytest

from builders import pipeline_spec, run_spec
from pretrain_operator.observed.errors import Refused
from reconciles import message, names, refuse, simulate, state, with_chain
from simulation import Simulation

S3 = {"uri": "s3://corpus", "credentialsSecretRef": {"name": "s3"}}


def test_a_stage_that_is_replaced_while_it_runs_waits_for_its_secret_too() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")
        await simulation.settle()
        simulation.pods.step()
        simulation.edit("DataPipeline", "documents", output=S3, tasks=3)
        await simulation.settle()
        assert state(simulation, "DataPipeline", "documents") == ("Waiting", "SecretNotFound")
        assert names(simulation, "Job") == []
        simulation.server.put("Secret", {"metadata": {"name": "s3"}})
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")

    simulate(steps)


def test_secrets_are_looked_up_only_before_a_job_is_created() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.server.put("Secret", {"metadata": {"name": "s3"}})
        spec = run_spec(checkpoint=S3, suspend=True)
        simulation.apply("PretrainJob", "run", spec=spec)
        simulation.apply("DataPipeline", "documents", spec=pipeline_spec(output=S3))
        await simulation.run()
        secrets = [path for _, path in simulation.server.requests if "/secrets/" in path]
        assert len(secrets) == len([n for n in names(simulation, "Job")])
        simulation.server.requests.clear()
        for kind, name in (("PretrainJob", "run"), ("DataPipeline", "documents")):
            await simulation.reconcile(kind, name)
        assert simulation.server.requests == []

    simulate(steps)


def test_only_runs_are_polled() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")
        await simulation.settle()
        simulation.pods.step()
        await simulation.settle()
        assert state(simulation, "DataPipeline", "documents")[1] == "StageRunning"
        assert not [path for _, path in simulation.server.requests if "/proxy/" in path]

    simulate(steps)


def test_a_complete_run_stays_complete_if_its_deletion_is_refused() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        simulation.apply("PretrainJob", "run", spec=run_spec(ttlAfterFinished="1m"))
        simulation.server.refuse = refuse("delete", "/pretrainjobs/", 403)
        await simulation.settle()
        while simulation.pods.step():
            await simulation.settle()
        simulation.pass_time(60)
        with pytest.raises(Refused):
            await simulation.reconcile("PretrainJob", "run")
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")
        simulation.server.refuse = lambda method, path: None
        await simulation.run()
        assert simulation.server.get("PretrainJob", "run") is None

    simulate(steps)


@pytest.mark.parametrize("kind", ["ConfigMap", "Job"])
def test_a_pipeline_leaves_a_foreign_object_with_the_name_of_a_child_alone(kind: str) -> None:
    async def steps(simulation: Simulation) -> None:
        other = Simulation(simulation.server.clone())  # where the child gets its name first
        other.apply("DataPipeline", "documents")
        await other.start_operator()
        await other.settle()
        (name,) = names(other, kind)
        foreign = simulation.server.put(kind, {"metadata": {"name": name}, "spec": {}})
        simulation.apply("DataPipeline", "documents")
        await simulation.settle()
        assert state(simulation, "DataPipeline", "documents") == ("Blocked", "NameTaken")
        assert f"{kind} {name} in namespace default is not ours" in message(
            simulation, "DataPipeline", "documents"
        )
        assert simulation.server.get(kind, name) == foreign
        simulation.server.remove(kind, name)
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")

    simulate(steps)
