"""The controller as a whole, in virtual time: it starts, lists, works, and outlives its server."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from kubernetes.aio.client.rest import ApiException

from builders import make_body
from memory_server import MemoryServer
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.reconcile.controller import Controller
from virtual_time import run

RESYNC = 300.0
Steps = Callable[["Process"], Awaitable[None]]


class Process:
    """An operator that runs beside a server in memory; no watch tells it anything."""

    def __init__(self, namespace: str | None = None) -> None:
        self.server = MemoryServer()
        self.server.put("ComputeProfile", make_body("ComputeProfile", "cpu"))
        api = Api(self.server)
        self.controller = Controller(api, ProgressReader(api, via_api_server=True), namespace)

    def apply(self, name: str, namespace: str = "default") -> None:
        body = make_body("DataPipeline", name, metadata={"namespace": namespace})
        self.server.put("DataPipeline", body)

    def phase(self, name: str, namespace: str = "default") -> str | None:
        body = self.server.get("DataPipeline", name, namespace)
        assert body is not None
        phase: str | None = body.get("status", {}).get("phase")
        return phase


def simulate(steps: Steps, namespace: str | None = None) -> None:
    """Run a steps about a process; it ends when the steps does."""

    async def scenario() -> None:
        process = Process(namespace)
        work = asyncio.create_task(process.controller.run(workers=2, resync_seconds=RESYNC))
        try:
            await steps(process)
            assert not work.done()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    run(scenario())


def lists(process: Process) -> int:
    """Return how often profiles have been listed: once in each resync."""
    return sum(path.endswith("/computeprofiles") for _, path in process.server.requests)


def test_it_works_on_what_is_there_when_it_starts() -> None:
    async def steps(process: Process) -> None:
        process.apply("documents")
        await asyncio.sleep(1)
        assert process.phase("documents") == "Running"

    simulate(steps)


def test_it_does_nothing_before_it_has_listed_everything() -> None:
    async def steps(process: Process) -> None:
        process.apply("documents")
        process.server.refuse = lambda method, path: (
            ApiException(status=403, reason="no") if path.endswith("/pods") else None
        )
        await asyncio.sleep(600)
        assert process.server.writes == 0, "without the pods it might start two attempts at once"
        assert 15 < lists(process) < 40, "it tries again ever more seldom, up to half a minute"
        process.server.refuse = lambda method, path: None
        await asyncio.sleep(31)
        assert process.phase("documents") == "Running"

    simulate(steps)


def test_what_no_watch_has_reported_is_found_by_the_next_list() -> None:
    async def steps(process: Process) -> None:
        await asyncio.sleep(1)
        process.apply("documents")
        await asyncio.sleep(RESYNC - 2)
        assert process.phase("documents") is None
        await asyncio.sleep(3)
        assert process.phase("documents") == "Running"
        assert lists(process) == 2

    simulate(steps)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_server_that_is_away_for_an_hour_changes_nothing_in_the_end(status: int) -> None:
    async def steps(process: Process) -> None:
        process.apply("documents")
        process.server.refuse = lambda method, path: (
            ApiException(status=status, reason="away") if method != "get" else None
        )
        await asyncio.sleep(3600)
        assert process.server.writes == 0
        tries = sum(method == "post" for method, _ in process.server.requests)
        assert tries < 3600 / 60, "failures are tried again ever more seldom"
        process.server.refuse = lambda method, path: None
        await asyncio.sleep(151)
        assert process.phase("documents") == "Running"

    simulate(steps)


def test_a_list_that_fails_later_on_does_not_end_the_process() -> None:
    async def steps(process: Process) -> None:
        await asyncio.sleep(1)
        process.server.refuse = lambda method, path: ApiException(status=500, reason="away")
        await asyncio.sleep(3 * RESYNC)
        process.server.refuse = lambda method, path: None
        process.apply("documents")
        await asyncio.sleep(RESYNC + 31)
        assert process.phase("documents") == "Running"

    simulate(steps)


def test_an_error_of_ours_holds_up_one_object_and_no_other() -> None:
    async def steps(process: Process) -> None:
        process.apply("broken")
        process.apply("documents")

        def fail(method: str, path: str) -> ApiException | None:
            if "datapipelines/broken/status" in path:
                raise ZeroDivisionError
            return None

        process.server.refuse = fail
        await asyncio.sleep(3600)
        assert process.phase("documents") == "Running"
        assert process.phase("broken") is None
        process.server.refuse = lambda method, path: None
        await asyncio.sleep(151)
        assert process.phase("broken") == "Running"

    simulate(steps)


def test_an_operator_of_one_namespace_leaves_all_others_alone() -> None:
    async def steps(process: Process) -> None:
        process.apply("ours", "team")
        process.apply("theirs", "default")
        await asyncio.sleep(2 * RESYNC)
        assert (process.phase("ours", "team"), process.phase("theirs")) == ("Running", None)
        paths = [path for _, path in process.server.requests if "computeprofiles" not in path]
        elsewhere = [path for path in paths if "/namespaces/team/" not in path]
        assert all(path.endswith("/default/events") for path in elsewhere), "those of profiles"

    simulate(steps, namespace="team")


def test_time_passes_without_requests_while_nothing_happens() -> None:
    async def steps(process: Process) -> None:
        await asyncio.sleep(10)
        before = len(process.server.requests)
        await asyncio.sleep(10 * RESYNC)
        assert len(process.server.requests) - before == 10 * 7, "seven lists in each resync"

    simulate(steps)
