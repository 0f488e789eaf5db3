"""How requests reach the API server; those whose failure passes by itself are repeated."""

import asyncio
import random
from typing import Any, Protocol

import aiohttp
from kubernetes.aio.client.rest import ApiException

from pretrain_operator import metrics

PATIENCE_SECONDS = 10.0
"""How long a request is repeated; after that the reconcile fails, and is repeated as a whole."""

_FIRST_BACKOFF_SECONDS = 0.1
_PASSING = (429, 500, 502, 503, 504)
_POD_PROXY = "/proxy/"


class Transport(Protocol):
    """Sends requests: `kubernetes.aio.dynamic.DynamicClient`, or a server in memory for tests."""

    async def request(self, method: str, path: str, **options: Any) -> Any:
        """Return the response to one request.

        Raises:
            ApiException: If its status is an error.
        """


class RetryingTransport:
    """Sends each request until it is answered, `PATIENCE_SECONDS` at most.

    Every request of ours can be sent twice: that a name is taken, a version has passed or an object
    is gone is an answer to it. What a pod answers through the API server's proxy is polled anyway.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def request(self, method: str, path: str, **options: Any) -> Any:
        """Return the response to one request, or raise what the last try has raised."""
        clock = asyncio.get_running_loop().time
        deadline, backoff = clock() + PATIENCE_SECONDS, _FIRST_BACKOFF_SECONDS
        while True:
            try:
                answer = await self._transport.request(method, path, **options)
                metrics.REQUESTS.labels(method.upper(), "2xx").inc()
                return answer
            except ApiException as error:
                metrics.REQUESTS.labels(method.upper(), str(error.status)).inc()
                wait = _retry_after(error) or backoff * random.uniform(0.75, 1.25)
                is_over = clock() + wait > deadline or error.status not in _PASSING
                if is_over or _POD_PROXY in path:
                    raise
            except (aiohttp.ClientError, TimeoutError, OSError):
                metrics.REQUESTS.labels(method.upper(), "none").inc()
                wait = backoff * random.uniform(0.75, 1.25)
                if clock() + wait > deadline or _POD_PROXY in path:
                    raise
            await asyncio.sleep(wait)
            backoff *= 2


def _retry_after(error: ApiException) -> float | None:
    """Return the seconds that an overloaded server asks to wait; `None` if it does not."""
    text = str((error.headers or {}).get("Retry-After", ""))
    return float(text) if text.isascii() and text.isdigit() else None
