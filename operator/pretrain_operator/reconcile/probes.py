"""Serves the probes of the operator's pod, and its metrics."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pretrain_operator.reconcile.health import Health


@asynccontextmanager
async def serve_probes(
    health: Callable[[], Health],
    port: int,
    host: str | None = None,
    update_metrics: Callable[[], None] = lambda: None,
) -> AsyncIterator[int]:
    """Serve `/healthz`, `/readyz` and `/metrics` while the body runs; give the port.

    Args:
        health: Returns the health of the controller now.
        port: Port to listen on; 0 means any.
        host: Address to listen on. `None` means all, of both families.
        update_metrics: Called before metrics are read.
    """

    async def alive(request: web.Request) -> web.Response:
        return _answer(health().stuck())

    async def ready(request: web.Request) -> web.Response:
        return _answer(health().unready())

    async def metrics(request: web.Request) -> web.Response:
        update_metrics()
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(), headers=headers)

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _answer(problems: list[str]) -> web.Response:
    text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
    return web.Response(status=503 if problems else 200, text=text)
