"""Serve AdmissionReviews over TLS; certificate files that change are loaded without a restart."""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from pretrain_api.problems import InvalidManifest
from pretrain_operator.webhook.reviews import World, answer_review

_LOG = logging.getLogger(__name__)
_LARGEST_BODY = 8 * 2**20


class Certificate:
    """A TLS context over two files, such as those of a mounted Secret."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._loaded: tuple[int, ...] = ()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.reload()

    def reload(self) -> bool:
        """Load the files if they have changed; return whether they had.

        New connections get the new certificate. Files of which only one has been replaced so far do
        not fit each other: the old pair stays until both have.
        """
        now = tuple(file.stat().st_mtime_ns for file in self._files)
        if now == self._loaded:
            return False
        try:
            self.context.load_cert_chain(*self._files)
        except ssl.SSLError as error:
            if not self._loaded:
                raise
            _LOG.warning("keeps the last certificate: %s", error)
            return False
        self._loaded = now
        return True

    async def keep_fresh(self, interval_seconds: float) -> None:
        """Look at the files again and again."""
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                if self.reload():
                    _LOG.info("loaded the new certificate")
            except OSError as error:
                _LOG.warning("keeps the last certificate: %s", error)


def make_app(world: Callable[[], World]) -> web.Application:
    """Return the application: `POST /validate` and `GET /healthz`."""

    async def validate(request: web.Request) -> web.Response:
        try:
            review = json.loads(await request.read())
            if not isinstance(review, dict):
                raise InvalidManifest(["the body is no AdmissionReview"])
            return web.json_response(answer_review(review, world()))
        except (ValueError, RecursionError) as error:
            return web.Response(status=400, text=f"the body is no JSON: {error}\n")
        except InvalidManifest as error:
            return web.Response(status=400, text=f"{error}\n")

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_post("/validate", validate)
    app.router.add_get("/healthz", healthy)
    return app
