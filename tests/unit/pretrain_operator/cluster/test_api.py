import asyncio

import aiohttp
import pytest
from aiohttp import web

from pretrain_operator.cluster.api import read_bounded


async def answer_of(size: int, limit: int) -> bytes:
    """Return what is read of an answer of `size` bytes."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * size)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}") as got:
            return await read_bounded(got.content, limit)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("size", [0, 1, 200_000])
def test_an_answer_within_the_limit_is_read_whole(size: int) -> None:
    assert asyncio.run(answer_of(size, 200_000)) == b"x" * size


def test_an_answer_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 200000 bytes"):
        asyncio.run(answer_of(5_000_000, 200_000))
