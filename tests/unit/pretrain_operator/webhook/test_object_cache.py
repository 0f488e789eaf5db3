"""The objects that the webhook knows: those of the last complete list, never a part of one."""

import asyncio
from collections.abc import Awaitable, Callable

from kubernetes.aio.client.rest import ApiException

from builders import make_body
from memory_server import MemoryServer
from pretrain_operator.cluster.api import Api
from pretrain_operator.webhook.object_cache import ObjectCache

Steps = Callable[[ObjectCache, MemoryServer], Awaitable[None]]


def while_refreshed(steps: Steps, server: MemoryServer) -> None:
    """Run steps while a cache is refreshed as often as possible."""

    async def run() -> None:
        cache = ObjectCache(Api(server), 0.0)
        task = asyncio.create_task(cache.keep_fresh())
        try:
            await steps(cache, server)
        finally:
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(result, asyncio.CancelledError), "nothing else ends it"

    asyncio.run(run())


async def refresh(server: MemoryServer, lists: int = 2) -> None:
    """Wait for some requests: a list has three."""
    until = len(server.requests) + 3 * lists
    while len(server.requests) < until:
        await asyncio.sleep(0)
    await asyncio.sleep(0)


def names(cache: ObjectCache) -> set[str]:
    assert cache.objects is not None
    return {item.key.name for item in cache.objects}


def test_objects_come_and_go_with_the_lists() -> None:
    async def steps(cache: ObjectCache, server: MemoryServer) -> None:
        await refresh(server)
        assert names(cache) == {"cpu"}
        server.put("Tokenizer", make_body("Tokenizer", "tokens"))
        server.put("PretrainJob", make_body("PretrainJob", "run"))
        await refresh(server)
        assert names(cache) == {"cpu", "tokens"}
        server.remove("Tokenizer", "tokens")
        await refresh(server)
        assert names(cache) == {"cpu"}
        plurals = {path.rpartition("/")[2] for _, path in server.requests}
        assert plurals == {"computeprofiles", "tokendatasets", "tokenizers"}

    server = MemoryServer()
    server.put("ComputeProfile", make_body("ComputeProfile", "cpu"))
    while_refreshed(steps, server)


def test_an_api_server_that_fails_leaves_the_last_lists() -> None:
    async def steps(cache: ObjectCache, server: MemoryServer) -> None:
        await refresh(server)
        server.put("Tokenizer", make_body("Tokenizer", "tokens"))
        for status in (500, 403):
            server.refuse = lambda method, path, status=status: (  # type: ignore[misc]
                ApiException(status=status) if "tokenizers" in path else None
            )
            await refresh(server)
            assert names(cache) == {"cpu"}
        server.refuse = lambda method, path: None
        await refresh(server)
        assert names(cache) == {"cpu", "tokens"}

    server = MemoryServer()
    server.put("ComputeProfile", make_body("ComputeProfile", "cpu"))
    while_refreshed(steps, server)


def test_nothing_is_known_until_everything_has_been_listed_once() -> None:
    async def steps(cache: ObjectCache, server: MemoryServer) -> None:
        await refresh(server)
        assert cache.objects is None
        server.refuse = lambda method, path: None
        await refresh(server)
        assert names(cache) == {"cpu"}

    server = MemoryServer()
    server.put("ComputeProfile", make_body("ComputeProfile", "cpu"))
    server.refuse = lambda method, path: ApiException(status=503) if "tokenizers" in path else None
    while_refreshed(steps, server)
