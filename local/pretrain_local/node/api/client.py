"""The node's client of the API server."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

Json = dict[str, Any]

_TIMEOUT_SECONDS = 15
_WATCH_SECONDS = 240
_LONGEST_LINE = 8 * 2**20
"""An object is at most 1.5 MiB in etcd; JSON of it may be larger."""

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API server refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


UNREACHABLE = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
"""What a request raises while the API server is away: time will heal it."""


class Client:
    """The API server at `server`, as the node that the certificate in `context` names."""

    def __init__(self, server: str, context: ssl.SSLContext) -> None:
        self._server = server
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
            read_bufsize=_LONGEST_LINE,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def request(
        self, method: str, path: str, body: Json | None = None, kind: str = "application/json"
    ) -> Json:
        """Return the answer of the API server.

        Raises:
            ApiError: If it refuses.
            UNREACHABLE: If it is away.
        """
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind} if data is not None else {}
        url = self._server + path
        async with self._session.request(method, url, data=data, headers=headers) as answer:
            document: Json = await answer.json(content_type=None)
            if answer.status >= 400:
                raise ApiError(answer.status, str(document.get("message", document)))
            return document

    async def find(self, path: str) -> Json | None:
        """Return the object at `path`, or None if there is none."""
        try:
            return await self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def watch(self, path: str, version: str) -> AsyncIterator[Json]:
        """Yield the events after `version` until the API server ends the watch."""
        query = f"watch=1&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}"
        timeout = aiohttp.ClientTimeout(total=None, sock_read=_WATCH_SECONDS + _TIMEOUT_SECONDS)
        separator = "&" if "?" in path else "?"
        url = f"{self._server}{path}{separator}{query}"
        async with self._session.get(url, timeout=timeout) as answer:
            if answer.status >= 400:
                raise ApiError(answer.status, await answer.text())
            async for line in answer.content:
                yield json.loads(line)
