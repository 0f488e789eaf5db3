"""What the probes answer: a dead watch, a forbidden list and a queue that does not move."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from builders import make_body
from memory_server import MemoryServer
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.cluster.resources import POD
from pretrain_operator.cluster.watches import WatchState
from pretrain_operator.observed.errors import Refused, Unavailable
from pretrain_operator.reconcile.controller import Controller
from pretrain_operator.reconcile.health import (
    BUSY_SECONDS,
    RESTART_SECONDS,
    SILENT_SECONDS,
    Health,
)
from pretrain_operator.reconcile.probes import serve_probes

HEARD = WatchState(POD, listed_at=0.0, heard_at=0.0)


def health(*watches: WatchState, now: float = 0.0, oldest_key: float = 0.0) -> Health:
    return Health.of(watches, 0.0, oldest_key, now)


def test_a_watch_that_was_heard_a_minute_ago_is_alive() -> None:
    found = health(HEARD, now=SILENT_SECONDS)
    assert (found.unready(), found.stuck()) == ([], [])


def test_a_silent_watch_makes_the_operator_unready_and_later_replaces_it() -> None:
    silent = health(HEARD, now=SILENT_SECONDS + 1)
    assert silent.unready() == ["pods: nothing heard for 151 s"]
    assert silent.stuck() == []
    assert health(HEARD, now=RESTART_SECONDS + 1).stuck() == [
        "pods: nothing heard for 601 s: silence"
    ]


def test_a_forbidden_list_is_told_at_once_with_the_verb_and_the_resource() -> None:
    words = 'pods is forbidden: User "system:x" cannot list resource "pods"'
    state = replace(HEARD)
    state.fail(Refused(words))
    assert health(state).unready() == [f"pods: {words}"]
    state.fail(Unavailable("GET /api/v1/pods: 503"))
    assert health(state).unready() == [], "a watch that is opened again is not dead"


def test_what_was_never_listed_is_not_ready() -> None:
    assert health(WatchState(POD)).unready() == ["pods: not listed yet"]
    assert health(WatchState(POD), now=RESTART_SECONDS).stuck() == []
    assert health(WatchState(POD), now=RESTART_SECONDS + 1).stuck() != []


def test_objects_that_wait_too_long_are_told() -> None:
    assert health(HEARD, oldest_key=BUSY_SECONDS).unready() == []
    assert len(health(HEARD, oldest_key=BUSY_SECONDS + 1).unready()) == 1
    assert len(health(HEARD, oldest_key=RESTART_SECONDS + 1).stuck()) == 1


@pytest.mark.parametrize("is_listed", [False, True])
def test_the_probes_of_a_controller_are_served(is_listed: bool) -> None:
    async def steps() -> None:
        server = MemoryServer()
        server.put("ComputeProfile", make_body("ComputeProfile", "cpu"))
        api = Api(server)
        controller = Controller(api, ProgressReader(api, via_api_server=True), None)
        if is_listed:
            await controller.resync()
            await controller.handle(await controller.queue.get())
        probes = serve_probes(controller.health, 0, "127.0.0.1", controller.update_metrics)
        async with probes as port, aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}"
            async with session.get(f"{url}/readyz") as answer:
                assert answer.status == (200 if is_listed else 503)
                assert ("pods: not listed yet" in await answer.text()) is not is_listed
            async with session.get(f"{url}/healthz") as answer:
                assert (answer.status, await answer.text()) == (200, "ok\n")
            async with session.get(f"{url}/metrics") as answer:
                text = await answer.text()
        assert 'pretrain_watch_silence_seconds{resource="pods"}' in text
        if is_listed:
            labels = '{controller="ComputeProfile",result="success"}'
            assert f"controller_runtime_reconcile_total{labels}" in text

    asyncio.run(asyncio.wait_for(steps(), 20))
