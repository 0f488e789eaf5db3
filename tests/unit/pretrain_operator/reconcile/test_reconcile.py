"""Every path of a reconcile: what it waits for, what refuses it, what follows when that is over."""

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.aio.client.rest import ApiException

from builders import pipeline_spec, profile_spec, run_spec
from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_operator.observed.errors import Unavailable
from simulation import Json, Simulation
from stories import message, names, refuse, state, tell, with_chain

S3 = {"uri": "s3://corpus", "credentialsSecretRef": {"name": "s3"}}


def test_an_object_that_is_gone_or_leaving_is_left_alone() -> None:
    async def story(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents", metadata={"finalizers": ["theirs/hold"]})
        simulation.server.remove("DataPipeline", "documents")
        assert await simulation.reconcile("DataPipeline", "documents") is None
        assert await simulation.reconcile("PretrainJob", "absent") is None
        assert simulation.server.writes == 0

    tell(story)


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
def test_an_invalid_object_says_what_to_change_and_creates_nothing(
    kind: str, spec: Json, field: str
) -> None:
    async def story(simulation: Simulation) -> None:
        simulation.apply(kind, "thing", spec=spec)
        await simulation.run()
        assert state(simulation, kind, "thing") == ("Invalid", "InvalidSpec")
        assert field in message(simulation, kind, "thing")
        assert names(simulation, "Job") == []
        (event,) = (e for e in simulation.server.list("Event") if e["reason"] == "InvalidSpec")
        assert event["type"] == "Warning"

    tell(story)


def test_an_invalid_profile_is_told_and_stops_those_that_use_it() -> None:
    async def story(simulation: Simulation) -> None:
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

    tell(story)


def test_every_object_waits_for_what_it_is_made_from_and_goes_on_at_once() -> None:
    async def story(simulation: Simulation) -> None:
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

    tell(story)


def test_a_failure_is_passed_down_the_chain_with_its_first_cause() -> None:
    async def story(simulation: Simulation) -> None:
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
            assert "DataPipeline documents cannot go on: stage list: a.gz: is cut" in message(
                simulation, kind, name
            )

    tell(story)


def test_a_failed_pipeline_is_tried_again_when_its_annotation_changes() -> None:
    async def story(simulation: Simulation) -> None:
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

    tell(story)


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
    async def story(simulation: Simulation) -> None:
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

    tell(story)


@pytest.mark.parametrize("kind", ["DataPipeline", "PretrainJob"])
@pytest.mark.parametrize(("method", "part"), [("post", "/jobs"), ("get", "/secrets/")])
def test_what_the_api_server_refuses_is_told_with_its_words_and_tried_again(
    kind: str, method: str, part: str
) -> None:
    async def story(simulation: Simulation) -> None:
        simulation.server.put("Secret", {"metadata": {"name": "s3"}})
        with_chain(simulation)
        await simulation.run()
        simulation.server.refuse = refuse(method, part, 403)
        if kind == "PretrainJob":
            simulation.apply(kind, "thing", spec=run_spec(checkpoint=S3))
        else:
            simulation.apply(kind, "thing", spec=pipeline_spec(output=S3))
        await simulation.settle()
        assert state(simulation, kind, "thing") == ("Blocked", "ChildRejected")
        assert f"the API server refuses: not allowed: {part}" in message(simulation, kind, "thing")
        assert await simulation.reconcile(kind, "thing") == 30
        assert simulation.object(kind, "thing")["status"].get("attempts") in (None, [])
        simulation.server.refuse = lambda method, path: None
        await simulation.run()
        assert state(simulation, kind, "thing") == ("Complete", "Complete")

    tell(story)


def test_pods_that_may_not_be_created_are_told_with_the_words_of_the_job_controller() -> None:
    async def story(simulation: Simulation) -> None:
        simulation.pods.held = True
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        (job,) = simulation.server.list("Job")
        event = {
            "metadata": {"name": "no-pods"},
            "involvedObject": {"uid": job["metadata"]["uid"]},
            "reason": "FailedCreate",
            "message": 'Error creating: pods "x-1" is forbidden: exceeded quota: small',
            "lastTimestamp": job["metadata"]["creationTimestamp"],
        }
        simulation.server.put("Event", event)
        simulation.pass_time(10)
        await simulation.settle()
        assert state(simulation, "DataPipeline", "documents") == ("Running", "WaitingForPods")
        assert "exceeded quota: small" in message(simulation, "DataPipeline", "documents")
        simulation.pods.held = False
        simulation.pods.step()
        await simulation.settle()
        assert state(simulation, "DataPipeline", "documents") == ("Running", "StageRunning")

    tell(story)


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_a_server_that_cannot_answer_now_is_asked_again_and_not_blamed(status: int) -> None:
    async def story(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")
        simulation.server.refuse = refuse("patch", "/status", status)
        with pytest.raises(Unavailable, match=str(status) if status != 409 else "not allowed"):
            await simulation.reconcile("DataPipeline", "documents")
        assert "status" not in simulation.object("DataPipeline", "documents")
        simulation.server.refuse = lambda method, path: None
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")

    tell(story)


def test_the_controller_retries_what_fails_and_forgets_it_once_it_goes_well() -> None:
    async def story(simulation: Simulation) -> None:
        controller = simulation.controller
        assert controller is not None
        simulation.apply("DataPipeline", "documents")
        key = next(key for key in [await controller.queue.get() for _ in range(2)] if key.namespace)
        for error in (ApiException(status=500, reason="down"), ValueError("a bug")):
            simulation.server.refuse = raising(error)
            assert await controller.handle(key) is None
        simulation.server.refuse = lambda method, path: None
        await controller.handle(key)
        assert controller.queue.retry(key) < 1, "the next failure is its first"
        assert simulation.object("DataPipeline", "documents")["status"]["phase"] == "Running"

    def raising(error: Exception) -> Callable[[str, str], ApiException | None]:
        def answer(method: str, path: str) -> ApiException | None:
            raise error

        return answer

    tell(story)


def test_an_object_that_is_deleted_under_way_is_no_error() -> None:
    async def story(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")

        def deleting(method: str, path: str) -> ApiException | None:
            if path.endswith("/status") and simulation.server.get("DataPipeline", "documents"):
                simulation.server.remove("DataPipeline", "documents")
            return None

        simulation.server.refuse = deleting
        await simulation.run()
        assert simulation.server.get("DataPipeline", "documents") is None
        assert names(simulation, "Job") == []

    tell(story)


def test_events_that_cannot_be_written_hold_nothing_up() -> None:
    async def story(simulation: Simulation) -> None:
        simulation.server.refuse = refuse("post", "/events", 403)
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")
        assert simulation.server.list("Event") == []

    tell(story)


def test_a_status_that_nobody_can_read_is_written_anew() -> None:
    async def story(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        body: dict[str, Any] = simulation.object("DataPipeline", "documents")
        simulation.server.put("DataPipeline", {**body, "status": {"stages": "none"}})
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")
        assert len(simulation.object("DataPipeline", "documents")["status"]["stages"]) == 6

    tell(story)


def test_two_objects_of_one_artifact_need_it_made_once_more_only_for_what_differs() -> None:
    async def story(simulation: Simulation) -> None:
        with_chain(simulation)
        await simulation.run()
        before = names(simulation, "Job")
        simulation.edit("TokenDataset", "blocks", tasks=3)
        await simulation.run()
        assert names(simulation, "Job") == before
        assert state(simulation, "TokenDataset", "blocks") == ("Complete", "Complete")

    tell(story)
