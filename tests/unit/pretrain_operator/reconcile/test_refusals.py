"""What one refusal, or a foreign hand, does not stop."""

from kubernetes.aio.client.rest import ApiException

from builders import dataset_spec, pipeline_spec, run_spec, tokenizer_spec
from reconciles import simulate, state, with_chain
from simulation import Json, Simulation


def with_secret(uri: str, name: str) -> Json:
    return {"uri": uri, "credentialsSecretRef": {"name": name}}


def test_a_secret_that_no_pod_of_the_run_mounts_does_not_block_it() -> None:
    async def steps(simulation: Simulation) -> None:
        for secret in ("theirs", "mine"):
            simulation.server.put("Secret", {"metadata": {"name": secret}})
        output = with_secret("file:///pretrain/data/artifacts", "theirs")
        simulation.apply("DataPipeline", "documents", spec=pipeline_spec(output=output))
        simulation.apply("Tokenizer", "tokens", spec=tokenizer_spec())
        simulation.apply("TokenDataset", "blocks", spec=dataset_spec())
        await simulation.run()

        def refuse_one(method: str, path: str) -> ApiException | None:
            is_refused = path.endswith("/secrets/theirs")
            return ApiException(status=403, reason="not allowed") if is_refused else None

        simulation.server.refuse = refuse_one
        checkpoint = with_secret("s3://checkpoints", "mine")
        simulation.apply("PretrainJob", "run", spec=run_spec(checkpoint=checkpoint))
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)


def test_a_job_that_is_deleted_while_its_run_is_being_suspended_is_not_charged() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        simulation.apply("PretrainJob", "run")
        await simulation.settle()
        simulation.edit("PretrainJob", "run", suspend=True)
        simulation.server.remove("Job", "run-a1")
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Suspended", "Suspended")
        (attempt,) = simulation.object("PretrainJob", "run")["status"]["attempts"]
        assert attempt["reason"] == "suspended"

    simulate(steps)


def test_a_retry_value_of_a_job_is_shortened_as_that_of_its_run() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        simulation.pods.unschedulable = True
        simulation.apply("PretrainJob", "run")
        await simulation.settle()
        job = simulation.object("Job", "run-a1")
        annotations = {**job["metadata"]["annotations"], "pretrain.dev/retry": "r" * 200_000}
        metadata = {**job["metadata"], "annotations": annotations}
        simulation.server.put("Job", {**job, "metadata": metadata})
        run = simulation.object("PretrainJob", "run")
        simulation.server.put("PretrainJob", {**run, "status": {}})
        await simulation.settle()
        (attempt,) = simulation.object("PretrainJob", "run")["status"]["attempts"]
        assert attempt["retry"] == "r" * 63

    simulate(steps)
