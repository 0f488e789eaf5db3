"""An HTTP server on this machine, whose response a test chooses, and the real client of the API."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from kubernetes.aio import client
from kubernetes.aio.dynamic import DynamicClient

from pretrain_operator.cluster.api import Api

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve(handler: Handler, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Answer all requests with `handler`; give the port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connect(port: int) -> AsyncIterator[Api]:
    """Give an `Api` with the client that the operator uses, for the server at `port`."""
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{port}"
    async with client.ApiClient(configuration) as api_client:
        yield Api(DynamicClient(api_client))


async def hang(request: web.Request) -> web.StreamResponse:
    """Send headers and one byte of a body, and nothing more."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"{")
    await asyncio.sleep(60)
    return response
