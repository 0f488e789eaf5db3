"""Run the webhook: `python -m pretrain_operator.webhook --certificate tls.crt --key tls.key`."""

import argparse
import asyncio
import contextlib
import logging
import signal
from pathlib import Path

from aiohttp import web

from pretrain_operator.cluster.api import open_api
from pretrain_operator.webhook.certificates import Certificate
from pretrain_operator.webhook.object_cache import ObjectCache
from pretrain_operator.webhook.planning import Planning, open_workers
from pretrain_operator.webhook.server import make_app

_MAX_PENDING = 32
"""Runs that are being planned or wait for a worker: more would exceed the time limit anyway."""


async def serve(options: argparse.Namespace) -> None:
    """Serve until the task is cancelled."""
    certificate = Certificate(options.certificate, options.key)
    planning = Planning(open_workers, _MAX_PENDING, options.plan_seconds)
    async with open_api() as api:
        cache = ObjectCache(api, options.refresh_seconds)
        runner = web.AppRunner(make_app(lambda: cache.objects, planning), access_log=None)
        await runner.setup()
        await web.TCPSite(
            runner, options.host, options.port, ssl_context=certificate.context
        ).start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(certificate.keep_fresh(options.refresh_seconds))
                await planning.warm_up()
                tasks.create_task(cache.keep_fresh())  # its first lists make the server ready
        finally:
            await runner.cleanup()
            planning.close()


async def serve_until_signal(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; then finish the requests in flight."""
    serving = asyncio.create_task(serve(options))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=9443)
    parser.add_argument("--refresh-seconds", type=float, default=5.0)
    parser.add_argument("--plan-seconds", type=float, default=5.0)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(serve_until_signal(parser.parse_args()))


if __name__ == "__main__":
    main()
