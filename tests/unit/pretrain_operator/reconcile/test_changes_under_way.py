"""What a run or a pipeline is made from changes, or is deleted, while it works."""

import pytest

from builders import dataset_spec, profile_spec
from pretrain_api.meta import RELEASE
from reconciles import message, names, simulate, state, with_chain
from run_reconciles import document, hold_pods, preempt_first, release_pods, with_running_run
from simulation import Simulation


def test_a_run_that_is_applied_again_waits_for_the_pods_of_the_one_before() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        before = simulation.object("PretrainJob", "run")
        held = hold_pods(simulation, "run-a1")
        simulation.server.remove("PretrainJob", "run")
        simulation.apply("PretrainJob", "run")
        await simulation.settle()
        assert (
            simulation.object("PretrainJob", "run")["metadata"]["uid"] != before["metadata"]["uid"]
        )
        assert "of an earlier PretrainJob run has ended" in message(
            simulation, "PretrainJob", "run"
        )
        assert "run-a1" not in names(simulation, "Job")
        release_pods(simulation, held)
        await simulation.run()
        after = simulation.object("PretrainJob", "run")["status"]
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")
        assert [attempt["number"] for attempt in after["attempts"]] == [1]
        assert after["inputs"] == before["status"]["inputs"], "it goes on from its checkpoints"

    simulate(steps)


def test_a_pipeline_that_is_applied_again_does_its_own_work_and_touches_nothing_old() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")
        await simulation.settle()
        simulation.pods.step()
        await simulation.settle()
        old = names(simulation, "Job")
        simulation.server.remove("DataPipeline", "documents")
        assert names(simulation, "Job") == [], "the garbage collector deletes what it owned"
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")
        assert not set(names(simulation, "Job")) & set(old)

    simulate(steps)


def test_a_profile_that_is_deleted_stops_what_is_next_and_nothing_that_runs() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        preempt_first(simulation)
        simulation.apply("DataPipeline", "more")
        await simulation.settle()
        simulation.server.remove("ComputeProfile", "cpu")
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Running", "AttemptRunning")
        assert state(simulation, "DataPipeline", "more") == ("Waiting", "ProfileNotFound")
        jobs = names(simulation, "Job")
        await simulation.run()
        assert names(simulation, "Job") == jobs, "what runs goes on, and nothing follows"
        assert state(simulation, "PretrainJob", "run") == ("Waiting", "ProfileNotFound")
        simulation.apply("ComputeProfile", "cpu")
        await simulation.run()
        for kind, name in (("PretrainJob", "run"), ("DataPipeline", "more")):
            assert state(simulation, kind, name) == ("Complete", "Complete")

    simulate(steps)


def test_a_profile_that_changes_moves_the_next_attempt_and_not_the_running_one() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        preempt_first(simulation)
        images = {"trainer": "registry.example/trainer:2"}
        simulation.edit("ComputeProfile", "cpu", **profile_spec(images=images))
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Running", "AttemptRunning")
        await simulation.run()
        images_of = {
            job["metadata"]["name"]: job["spec"]["template"]["spec"]["containers"][0]["image"]
            for job in simulation.server.list("Job")
            if job["metadata"]["name"].startswith("run-a")
        }
        assert images_of == {
            "run-a1": f"pretrain-trainer:{RELEASE}",
            "run-a2": "registry.example/trainer:2",
        }

    simulate(steps)


def test_a_run_keeps_the_blocks_it_started_with_although_its_dataset_is_edited() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        first = document(simulation, "run-a1")
        preempt_first(simulation)
        simulation.edit("TokenDataset", "blocks", **dataset_spec(seed=7))
        await simulation.run()
        made_anew = simulation.object("TokenDataset", "blocks")["status"]["artifact"]
        assert made_anew["digest"] != first["dataset"]["digest"]
        second = document(simulation, "run-a2")
        assert second["inputs"] == first["inputs"]
        assert second["dataset"]["digest"] == first["dataset"]["digest"]
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")

    simulate(steps)


def test_a_run_that_has_not_started_waits_for_the_edited_dataset_and_reads_the_new_one() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        old = simulation.object("TokenDataset", "blocks")["status"]["artifact"]
        simulation.edit("TokenDataset", "blocks", **dataset_spec(seed=7))
        simulation.apply("PretrainJob", "run")
        await simulation.settle()
        assert state(simulation, "PretrainJob", "run") == ("Waiting", "WaitingForDependency")
        await simulation.run()
        assert document(simulation, "run-a1")["dataset"]["digest"] != old["digest"]

    simulate(steps)


@pytest.mark.parametrize("kind", ["TokenDataset", "Tokenizer", "DataPipeline"])
def test_a_run_under_way_needs_none_of_the_objects_that_its_inputs_came_from(kind: str) -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        preempt_first(simulation)
        (name,) = (body["metadata"]["name"] for body in simulation.server.list(kind))
        simulation.server.remove(kind, name)
        await simulation.run()
        assert state(simulation, "PretrainJob", "run") == ("Complete", "Complete")
        assert len(simulation.object("PretrainJob", "run")["status"]["attempts"]) == 2

    simulate(steps)


def test_a_pipeline_that_is_edited_while_others_read_it_is_followed_down_the_chain() -> None:
    async def steps(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        before = {
            kind: simulation.object(kind, name)["status"]["artifact"]["digest"]
            for kind, name in (("Tokenizer", "tokens"), ("TokenDataset", "blocks"))
        }
        simulation.edit("DataPipeline", "documents", rules=[{"length": {"minCharacters": 9}}])
        await simulation.settle()
        for kind, name in (("Tokenizer", "tokens"), ("TokenDataset", "blocks")):
            assert state(simulation, kind, name) == ("Waiting", "WaitingForDependency")
        await simulation.run()
        for kind, name in (("Tokenizer", "tokens"), ("TokenDataset", "blocks")):
            assert state(simulation, kind, name) == ("Complete", "Complete")
            digest = simulation.object(kind, name)["status"]["artifact"]["digest"]
            assert digest != before[kind]

    simulate(steps)


def test_a_namespace_that_is_emptied_leaves_the_operator_nothing_to_do() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        ours = ("PretrainJob", "TokenDataset", "Tokenizer", "DataPipeline")
        for kind in ours:
            for body in simulation.server.list(kind):
                simulation.server.remove(kind, body["metadata"]["name"])
        writes = simulation.server.writes
        await simulation.run()
        assert simulation.server.writes == writes
        assert names(simulation, "Job") == names(simulation, "Pod") == []

    simulate(steps)
