"""Reconciles in which requests fail: a refusal becomes a state, other errors are retried."""

from collections.abc import Callable

import pytest
from kubernetes.aio.client.rest import ApiException

from builders import pipeline_spec, run_spec
from pretrain_operator.observed.errors import Unavailable
from reconciles import message, names, refuse, simulate, state, with_chain
from simulation import Simulation

S3 = {"uri": "s3://corpus", "credentialsSecretRef": {"name": "s3"}}


@pytest.mark.parametrize("kind", ["DataPipeline", "PretrainJob"])
@pytest.mark.parametrize(("method", "part"), [("post", "/jobs"), ("get", "/secrets/")])
def test_a_refusal_of_the_api_server_is_reported_and_retried(
    kind: str, method: str, part: str
) -> None:
    async def steps(simulation: Simulation) -> None:
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

    simulate(steps)


def test_pods_that_cannot_be_created_are_reported_with_the_event_of_the_job_controller() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.pods.unschedulable = True
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
        simulation.pods.unschedulable = False
        simulation.pods.step()
        await simulation.settle()
        assert state(simulation, "DataPipeline", "documents") == ("Running", "StageRunning")

    simulate(steps)


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_an_error_that_may_pass_is_retried_and_not_reported(status: int) -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")
        simulation.server.refuse = refuse("patch", "/status", status)
        with pytest.raises(Unavailable, match=str(status) if status != 409 else "not allowed"):
            await simulation.reconcile("DataPipeline", "documents")
        assert "status" not in simulation.object("DataPipeline", "documents")
        simulation.server.refuse = lambda method, path: None
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")

    simulate(steps)


def test_the_controller_retries_a_failed_reconcile_and_resets_its_backoff_after_a_success() -> None:
    async def steps(simulation: Simulation) -> None:
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

    simulate(steps)


def test_an_object_that_is_deleted_during_its_reconcile_is_no_error() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.apply("DataPipeline", "documents")

        def deleting(method: str, path: str) -> ApiException | None:
            if path.endswith("/status") and simulation.server.get("DataPipeline", "documents"):
                simulation.server.remove("DataPipeline", "documents")
            return None

        simulation.server.refuse = deleting
        await simulation.run()
        assert simulation.server.get("DataPipeline", "documents") is None
        assert names(simulation, "Job") == []

    simulate(steps)


def test_events_that_cannot_be_created_fail_no_reconcile() -> None:
    async def steps(simulation: Simulation) -> None:
        simulation.server.refuse = refuse("post", "/events", 403)
        simulation.apply("DataPipeline", "documents")
        await simulation.run()
        assert state(simulation, "DataPipeline", "documents") == ("Complete", "Complete")
        assert simulation.server.list("Event") == []

    simulate(steps)
