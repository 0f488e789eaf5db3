"""Run the webhook: `python -m pretrain_operator.webhook --certificate tls.crt --key tls.key`."""

import argparse
import asyncio
import contextlib
import logging
from pathlib import Path

from aiohttp import web

from pretrain_operator.cluster.api import open_api
from pretrain_operator.webhook.server import Certificate, make_app
from pretrain_operator.webhook.world import WorldCache


async def serve(options: argparse.Namespace) -> None:
    """Serve until the process is told to end."""
    certificate = Certificate(options.certificate, options.key)
    async with open_api() as api:
        cache = WorldCache(api, options.refresh_seconds)
        runner = web.AppRunner(make_app(lambda: cache.world), access_log=None)
        await runner.setup()
        await web.TCPSite(
            runner, options.host, options.port, ssl_context=certificate.context
        ).start()
        try:
            await asyncio.gather(
                cache.keep_fresh(), certificate.keep_fresh(options.refresh_seconds)
            )
        finally:
            await runner.cleanup()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=9443)
    parser.add_argument("--refresh-seconds", type=float, default=5.0)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
