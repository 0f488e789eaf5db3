"""The paths that objects of several kinds share: what they wait for, and what follows."""

from typing import Any

import pytest

from builders import profile_spec, run_spec
from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_api.reports import ExitClass, ExitReport
from reconciles import message, names, simulate, state, with_chain
from simulation import Json, Simulation

S3 = {"uri": "s3://corpus", "credentialsSecretRef": {"name": "s3"}}


def test_an_object_that_is_deleted_or_being_deleted_is_ignored() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents", metadata={"finalizers": ["example/hold"]})
        simulation.server.remove("DataPipeline", "documents")
        assert await simulation.reconcile("DataPipeline", "documents") is None
        assert await simulation.reconcile("PretrainJob", "absent") is None
        assert simulation.server.writes == 0

    simulate(steps)


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("DataPipeline", {}, "spec.sources: is required"),
        ("Tokenizer", {}, "spec.corpus: is required"),
        ("TokenDataset", {}, "spec.tokenizerRef: is required"),
        ("PretrainJob", {}, "spec.model: is required"),
        ("PretrainJob", run_spec(parallelism={"nodes": 2, "tensor": 3}), "spec.model.attentionH"),
    ],
)
def test_an_invalid_object_reports_its_fields_and_creates_nothing(
    kind: str, spec: Json, field: str
) -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply(kind, "thing", spec=spec)
        await simulation.run()
        assert state(simulation, kind, "thing") == ("Invalid", "InvalidSpec")
        assert field in message(simulation, kind, "thing")
        assert names(simulation, "Job") == []
        (event,) = (e for e in simulation.server.list("Event") if e["reason"] == "InvalidSpec")
        assert event["type"] == "Warning"

    simulate(steps)


def test_an_invalid_profile_is_reported_and_blocks_the_objects_that_use_it() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.edit("ComputeProfile", "cpu", accelerator={"name": "cpu", "perNode": 0})
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        assert simulation.condition("ComputeProfile", "cpu", "Ready")["status"] == "False"
        assert state(simulation, "DataPipeline", "documents") == ("Waiting", "ProfileNotFound")
        simulation.server.put(
            "ComputeProfile", {"metadata": {"name": "cpu"}, "spec": profile_spec()}
        )
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")

    simulate(steps)


def test_every_object_waits_for_its_inputs_and_continues_when_they_are_ready() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("PretrainJob", "run")
        simulation.apply("TokenDataset", "blocks")
        simulation.apply("Tokenizer", "tokens")
        await simulation.run()
        for kind, name in (("Tokenizer", "tokens"), ("TokenDataset", "blocks")):
            assert state(simulation, kind, name)[1] == "DependencyNotFound"
        assert state(simulation, "PretrainJob", "run")[1] == "WaitingForDependency"
        assert names(simulation, "Job") == []
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)


def test_a_failure_is_reported_down_the_chain_with_its_first_cause() -> None:
    async def steps(simulation: Simulation) -> None:
        def outcome(job: Json, rank: int) -> ExitReport:
            return ExitReport(exit_class=ExitClass.BAD_DATA, message="a.gz: is cut", rank=rank)

        simulation.pods.outcome = outcome
        with_chain(simulation)
        simulation.apply("PretrainJob", "run")
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Failed", "BadData")
        for kind, name in (
            ("Tokenizer", "tokens"),
            ("TokenDataset", "blocks"),
            ("PretrainJob", "run"),
        ):
            assert state(simulation, kind, name) == ("Waiting", "DependencyFailed")
            assert "DataPipeline documents has stopped: stage list: a.gz: is cut" in message(
                simulation, kind, name
            )

    simulate(steps)


def test_a_failed_pipeline_is_retried_when_its_annotation_changes() -> None:
    async def steps(simulation: Simulation) -> None:
        def outcome(job: Json, rank: int) -> ExitReport:
            return ExitReport(exit_class=ExitClass.BAD_DATA, message="a.gz: is cut", rank=rank)

        simulation.pods.outcome = outcome
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        simulation.pods.outcome = simulation.pods.succeed
        body = simulation.object("DataPipeline", "documents")
        meta = {**body["metadata"], "annotations": {RETRY_ANNOTATION: "1"}}
        simulation.server.put("DataPipeline", {**body, "metadata": meta})
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")

    simulate(steps)


@pytest.mark.parametrize(
    ("kind", "name", "where"),
    [
        ("DataPipeline", "documents", {"output": S3}),
        ("PretrainJob", "run", {"checkpoint": S3}),
    ],
)
def test_a_missing_secret_is_waited_for_before_anything_is_created(
    kind: str, name: str, where: Json
) -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        jobs = names(simulation, "Job")
        if kind == "PretrainJob":
            simulation.apply(kind, name)
            simulation.edit(kind, name, **where)
        else:
            simulation.edit(kind, name, **where)
        await simulation.settle()
        assert state(simulation, kind, name) == ("Waiting", "SecretNotFound")
        assert "there is no Secret s3 in namespace default" in message(simulation, kind, name)
        assert await simulation.reconcile(kind, name) == 5
        assert set(names(simulation, "Job")) <= set(jobs)
        simulation.server.put("Secret", {"metadata": {"name": "s3"}})
        await simulation.run()
        assert state(simulation, kind, name) == ("Complete", "Complete")

    simulate(steps)


def test_an_unreadable_status_is_rebuilt() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        body: dict[str, Any] = simulation.object("DataPipeline", "documents")
        simulation.server.put("DataPipeline", {**body, "status": {"stages": "none"}})
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")
        assert len(simulation.object("DataPipeline", "documents")["status"]["stages"]) == 6

    simulate(steps)


def test_an_edit_that_does_not_change_the_artifact_creates_no_job() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        before = names(simulation, "Job")
        simulation.edit("TokenDataset", "blocks", tasks=3)
        await simulation.run()
        assert names(simulation, "Job") == before
        assert state(simulation, "TokenDataset", "blocks") == ("Complete", "Complete")

    simulate(steps)
