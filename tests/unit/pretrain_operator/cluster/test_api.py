import asyncio

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio.client.rest import ApiException
from kubernetes.aio.dynamic.exceptions import ForbiddenError

from memory_server import MemoryServer
from pretrain_operator.cluster.api import Api, read_bounded
from pretrain_operator.cluster.resources import SECRET
from pretrain_operator.observed.errors import Refused


async def read_body(size: int, limit: int) -> bytes:
    """Return what is read of a body of `size` bytes."""

    async def respond(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * size)

    app = web.Application()
    app.router.add_get("/", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{host}:{port}") as response,
        ):
            return await read_bounded(response.content, limit)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("size", [0, 1, 200_000])
def test_a_body_within_the_limit_is_read_completely(size: int) -> None:
    assert asyncio.run(read_body(size, 200_000)) == b"x" * size


def test_a_body_beyond_the_limit_is_an_error() -> None:
    with pytest.raises(ValueError, match="more than 200000 bytes"):
        asyncio.run(read_body(5_000_000, 200_000))


@pytest.mark.parametrize(
    ("body", "want"),
    [
        (b'{"message": "no room"}', "no room"),
        (b"<html>proxy</html>", "<html>proxy</html>"),
        (b"[]", "[]"),
        (b"\xff", "\ufffd"),
        (b"", "403 Reason: Forbidden"),
    ],
)
def test_a_refusal_with_any_body_is_a_refusal(body: bytes, want: str) -> None:
    error = ApiException(status=403, reason="Forbidden")
    error.body, error.headers = body, {"Content-Type": "application/json"}
    server = MemoryServer()
    server.refuse = lambda method, path: ForbiddenError(error)
    with pytest.raises(Refused) as refusal:
        asyncio.run(Api(server).get(SECRET, "default", "s3"))
    assert str(refusal.value) == want
