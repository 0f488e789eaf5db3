"""The progress that a pod serves; its program is the user's, so no response may hurt."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest
from aiohttp import web

from builders import make_pod
from local_http import Handler, hang, serve
from memory_server import MemoryServer
from pretrain_api.v1alpha1.progress import Progress
from pretrain_operator.cluster import progress as polling
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.progress import (
    FIRST_INTERVAL_SECONDS,
    LAST_INTERVAL_SECONDS,
    MAX_BYTES,
    ProgressReader,
)
from pretrain_operator.observed.objects import Key

RUN = Key("PretrainJob", "default", "run")


class Clock(SimpleNamespace):
    """What the reader needs of the module `time`."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(polling, "time", clock)
    return clock


def body(content: bytes, status: int = 200) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, body=content)

    return handler


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 10_000)


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"step": 3}')
    assert request.transport is not None
    request.transport.abort()
    return response


def poll(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, host: str = "127.0.0.1"
) -> Progress | None:
    """Return what is read from a pod on this machine."""

    async def run() -> Progress | None:
        async with serve(handler, host) as port:
            monkeypatch.setattr(polling, "PROGRESS_PORT", port)
            reader = ProgressReader(Api(MemoryServer()), via_api_server=False)
            try:
                return await reader.read(RUN, make_pod(ip=host))
            finally:
                await reader.close()

    return asyncio.run(asyncio.wait_for(run(), 10))


def steps_with[T](steps: Callable[[ProgressReader, MemoryServer], Awaitable[T]]) -> T:
    """Run steps with a reader that polls through the API server."""

    async def run() -> T:
        server = MemoryServer()
        return await steps(ProgressReader(Api(server), via_api_server=True), server)

    return asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_progress_is_read_from_the_pod_itself(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    paths = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.json_response({"step": 3, "aFieldOfALaterVersion": [1]})

    assert poll(handler, monkeypatch, host) == Progress(step=3)
    assert paths == ["/progress"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"3",
        b"\xff\xfe\x00",
        b'{"step": 3',
        b'{"step": -1}',
        b'{"step": "three"}',
        b'{"step": 1e400}',
        b'{"step": 9223372036854775808}',
        b'{"step": ' + b"9" * 10_000 + b"}",
        b'{"curve": {"step": 1}}',
        b'{"checkpoint": {"step": 1}}',
        b'{"phase": "\\ud800"}',
        b"[" * 20_000,
        b'{"curve": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        json.dumps({"curve": [{"step": 1, "loss": 1.0}] * 65}).encode(),
        json.dumps({"phase": "x" * MAX_BYTES}).encode(),
    ],
    ids=lambda content: content[:24].decode(errors="replace"),
)
def test_a_response_that_is_no_progress_is_none(
    monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    assert poll(body(content), monkeypatch) is None


@pytest.mark.parametrize("handler", [hang, endless, cut, body(b'{"step": 3}', status=500)])
def test_a_server_that_does_not_answer_is_none(
    monkeypatch: pytest.MonkeyPatch, handler: Handler
) -> None:
    monkeypatch.setattr(polling, "TIMEOUT_SECONDS", 0.3)
    assert poll(handler, monkeypatch) is None


def test_a_pod_cannot_redirect_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it could read what only the operator may reach."""
    paths = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        if request.path == "/progress":
            raise web.HTTPFound("/secret")
        return web.json_response({"step": 3})

    assert poll(handler, monkeypatch) is None
    assert paths == ["/progress"]


def test_a_pod_without_an_address_is_none() -> None:
    async def run() -> Progress | None:
        reader = ProgressReader(Api(MemoryServer()), via_api_server=False)
        try:
            return await reader.read(RUN, make_pod(ip=None))
        finally:
            await reader.close()

    assert asyncio.run(run()) is None


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_run_is_polled_once_in_an_interval_whether_it_answers_or_not(
    clock: Clock, is_answered: bool
) -> None:
    async def steps(reader: ProgressReader, server: MemoryServer) -> list[int]:
        pod = make_pod()
        if is_answered:
            server.progress[pod.name] = b'{"step": 3}'
        requests = []
        for seconds in (0.0, FIRST_INTERVAL_SECONDS / 2, FIRST_INTERVAL_SECONDS / 2):
            clock.now += seconds
            result = await reader.read(RUN, pod)
            assert result == (Progress(step=3) if is_answered else None)
            requests.append(len(server.requests))
        return requests

    assert steps_with(steps) == [1, 1, 2]


def test_the_pod_of_the_next_attempt_is_polled_at_once(clock: Clock) -> None:
    async def steps(reader: ProgressReader, server: MemoryServer) -> list[Progress | None]:
        first, second = make_pod(job="run-a1"), make_pod(job="run-a2")
        server.progress = {first.name: b'{"attempt": 1}', second.name: b'{"attempt": 2}'}
        return [await reader.read(RUN, pod) for pod in (first, second)]

    assert steps_with(steps) == [Progress(attempt=1), Progress(attempt=2)]


def test_polls_of_many_runs_are_bounded_and_forgotten(clock: Clock) -> None:
    """Each poll may be a write of a status: the rate of all runs together has a limit."""

    async def steps(reader: ProgressReader, server: MemoryServer) -> int:
        keys = [Key("PretrainJob", "default", f"run-{number}") for number in range(400)]
        for _ in range(20):
            for key in keys:
                await reader.read(key, make_pod(job=key.name))
            clock.now += FIRST_INTERVAL_SECONDS / 2
        for key in keys:
            reader.forget(key)
        assert reader.interval_seconds(keys[0]) == FIRST_INTERVAL_SECONDS
        return len(server.requests)

    first_polls, seconds = 400, 10 * FIRST_INTERVAL_SECONDS
    assert steps_with(steps) <= 2 * first_polls + 25 * seconds


def test_a_run_is_polled_ever_more_seldom_and_its_next_pod_often_again(clock: Clock) -> None:
    async def steps(reader: ProgressReader, server: MemoryServer) -> list[int]:
        polls = []
        for pod in (make_pod(job="run-a1"), make_pod(job="run-a2")):
            for _ in range(3):  # ten minutes each
                before = len(server.requests)
                for _ in range(600):
                    await reader.read(RUN, pod)
                    clock.now += 1.0
                polls.append(len(server.requests) - before)
        return polls

    first, second, third, again, *_ = steps_with(steps)
    assert first > 40 + 20
    assert second == third
    assert 600 / LAST_INTERVAL_SECONDS <= second <= 1.1 * 600 / LAST_INTERVAL_SECONDS + 1
    assert again == first
