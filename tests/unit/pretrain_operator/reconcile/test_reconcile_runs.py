"""The paths that only a run has, and those of finished objects."""

import pytest

from builders import pipeline_spec, run_spec
from pretrain_api.reports import ExitClass, ExitReport
from reconciles import message, names, simulate, state, with_chain
from simulation import Json, Simulation

S3 = {"uri": "s3://corpus", "credentialsSecretRef": {"name": "s3"}}
FOREIGN = {"labels": {"made-by": "hand"}}


@pytest.mark.parametrize("kind", ["Service", "Job"])
def test_a_foreign_object_with_the_name_of_a_child_is_left_alone(kind: str) -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        child = {"Service": "run-pods", "Job": "run-a1"}[kind]
        before = simulation.server.put(kind, {"metadata": {"name": child, **FOREIGN}, "spec": {}})
        simulation.apply("PretrainJob", "run")
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Blocked", "NameTaken")
        assert f"{kind} {child} in namespace default is not ours" in message(
            simulation, "PretrainJob", "run"
        )
        assert await simulation.reconcile("PretrainJob", "run") == 30
        assert simulation.server.get(kind, child) == before
        simulation.server.remove(kind, child)
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)


def test_a_child_of_an_earlier_object_of_that_name_is_waited_for() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        earlier = {"kind": "PretrainJob", "name": "run", "uid": "before", "controller": True}
        meta = {"name": "run-pods", "ownerReferences": [earlier]}
        simulation.server.put("Service", {"metadata": meta, "spec": {}})
        simulation.apply("PretrainJob", "run")
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Running", "NameTaken")
        assert await simulation.reconcile("PretrainJob", "run") == 5
        simulation.server.remove("Service", "run-pods")
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)


def test_a_finished_object_stays_finished_although_its_jobs_and_inputs_are_deleted() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        simulation.apply("PretrainJob", "run")
        await simulation.run()
        for job in names(simulation, "Job"):
            simulation.server.remove("Job", job)
        simulation.server.remove("DataPipeline", "documents")
        await simulation.start_operator()
        await simulation.run()
        for kind, name in (
            ("Tokenizer", "tokens"),
            ("TokenDataset", "blocks"),
            ("PretrainJob", "run"),
        ):
            assert state(simulation, kind, name) == ("Complete", "Complete")
        assert names(simulation, "Job") == []

    simulate(steps)


def test_a_settled_object_needs_no_request() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.server.put("Secret", {"metadata": {"name": "s3"}})
        simulation.apply("DataPipeline", "documents", spec=pipeline_spec(output=S3))
        simulation.apply("Tokenizer", "tokens")
        simulation.apply("TokenDataset", "blocks")
        simulation.apply("PretrainJob", "run")
        await simulation.run()
        simulation.server.requests.clear()
        for kind, name in (
            ("ComputeProfile", "cpu"),
            ("DataPipeline", "documents"),
            ("Tokenizer", "tokens"),
            ("TokenDataset", "blocks"),
            ("PretrainJob", "run"),
        ):
            assert await simulation.reconcile(kind, name) is None
        assert simulation.server.requests == []

    simulate(steps)


def test_a_running_run_is_polled_and_its_progress_reported() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        simulation.apply("PretrainJob", "run")
        await simulation.settle()
        assert simulation.pods.step()
        await simulation.settle()
        status = simulation.object("PretrainJob", "run")["status"]
        assert (status["progress"]["step"], status["attempts"][0]["toStep"]) == (5, 5)
        assert await simulation.reconcile("PretrainJob", "run") == 2

    simulate(steps)


def test_a_run_that_exhausts_its_budget_fails_with_the_last_message() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()

        def outcome(job: Json, rank: int) -> ExitReport:
            return ExitReport(exit_class=ExitClass.PROGRAM_ERROR, message="a bug", rank=rank)

        simulation.pods.outcome = outcome
        budgets = {"budgets": {"user": {"max": 1}}}
        simulation.apply("PretrainJob", "run", spec=run_spec(recovery=budgets))
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Failed", "RestartBudgetExhausted")
        text = message(simulation, "PretrainJob", "run")
        assert "2 attempts ended with an error of the class 'user'" in text
        assert "(run-a2, programError): a bug" in text
        assert {"run-a1", "run-a2"} <= set(names(simulation, "Job"))
        assert "run-a3" not in names(simulation, "Job")

    simulate(steps)


def test_an_attempt_starts_only_after_the_pods_of_the_previous_one_have_ended() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        simulation.apply("PretrainJob", "run")
        await simulation.settle()
        simulation.pods.step()
        pods = [p for p in simulation.server.list("Pod") if p["metadata"]["name"].startswith("run")]
        for pod in pods:
            meta = {**pod["metadata"], "finalizers": ["node/not-yet"]}
            simulation.server.put("Pod", {**pod, "metadata": meta})
        simulation.server.remove("Job", "run-a1")
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Restarting", "Restarting")
        assert "waits until pod run-a1-0-abcde of the last" in message(
            simulation, "PretrainJob", "run"
        )
        assert "run-a2" not in names(simulation, "Job")
        simulation.pods.unschedulable = True
        for pod in pods:
            ended = simulation.object("Pod", pod["metadata"]["name"])
            meta = {**ended["metadata"], "finalizers": []}
            simulation.server.put("Pod", {**ended, "metadata": meta})
            simulation.server.remove("Pod", pod["metadata"]["name"])
        await simulation.settle()
        assert "run-a2" in names(simulation, "Job")

    simulate(steps)
