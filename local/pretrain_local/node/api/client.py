"""The node's asynchronous client of the API server."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

Json = dict[str, Any]

_TIMEOUT_SECONDS = 15
_WATCH_SECONDS = 240
_MAX_LINE_BYTES = 8 * 2**20
"""An object has at most 1.5 MiB in etcd; its JSON may be larger."""

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


UNREACHABLE = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
"""Errors of a request while the API server is down; retry."""


class NodeClient:
    """A client of the API server at `server` with the node's certificate, held by `context`."""

    def __init__(self, server: str, context: ssl.SSLContext) -> None:
        self._server = server
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
            read_bufsize=_MAX_LINE_BYTES,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def request(
        self, method: str, path: str, body: Json | None = None, kind: str = "application/json"
    ) -> Json:
        """Return the response document; `kind` is the content type of `body`.

        Raises:
            ApiError: If the API server refuses the request.
            UNREACHABLE: If the API server is down.
        """
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind} if data is not None else {}
        url = self._server + path
        async with self._session.request(method, url, data=data, headers=headers) as response:
            document: Json = await response.json(content_type=None)
            if response.status >= 400:
                raise ApiError(response.status, str(document.get("message", document)))
            return document

    async def find(self, path: str) -> Json | None:
        """Return the object at `path`, or None if it does not exist."""
        try:
            return await self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def watch(self, path: str, version: str) -> AsyncIterator[Json]:
        """Yield watch events after resource version `version` until the server ends the watch."""
        query = f"watch=1&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}"
        timeout = aiohttp.ClientTimeout(total=None, sock_read=_WATCH_SECONDS + _TIMEOUT_SECONDS)
        separator = "&" if "?" in path else "?"
        url = f"{self._server}{path}{separator}{query}"
        async with self._session.get(url, timeout=timeout) as response:
            if response.status >= 400:
                raise ApiError(response.status, await response.text())
            async for line in response.content:
                yield json.loads(line)
