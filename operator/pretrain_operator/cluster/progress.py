"""Asks the first pod of a run how far it is."""

import time

import aiohttp

from pretrain_api.paths import PROGRESS_PORT
from pretrain_api.v1alpha1.progress import Progress
from pretrain_operator.cluster.api import Api, read_bounded
from pretrain_operator.cluster.errors import Refused, Unavailable
from pretrain_operator.cluster.resources import POD
from pretrain_operator.observed.objects import Key
from pretrain_operator.observed.pods import ObservedPod

TIMEOUT_SECONDS = 1.0
INTERVAL_SECONDS = 2.0
MAX_BYTES = 64 * 1024
"""Longest answer that is read: it becomes part of a status."""

_RUNS_PER_INTERVAL = 100
"""With more runs than this at once, each is asked less often: status writes stay bounded."""


class ProgressReader:
    """Pulls `/progress`; never more often for one run than the interval allows."""

    def __init__(self, api: Api, via_api_server: bool) -> None:
        self._api, self._via_api_server = api, via_api_server
        self._asked: dict[Key, float] = {}
        self._session: aiohttp.ClientSession | None = None

    @property
    def interval_seconds(self) -> float:
        """Return the seconds between two questions to one run."""
        return INTERVAL_SECONDS * max(1.0, len(self._asked) / _RUNS_PER_INTERVAL)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def forget(self, key: Key) -> None:
        """Take note that a run does not run any more."""
        self._asked.pop(key, None)

    async def read(self, key: Key, pod: ObservedPod) -> Progress | None:
        """Return what the run says; `None` if it was asked just now, or does not answer."""
        now = time.monotonic()
        asked = self._asked.get(key)
        if asked is not None and now - asked < self.interval_seconds * 0.9:
            return None
        self._asked[key] = now
        try:
            said = await (self._proxied(pod) if self._via_api_server else self._direct(pod))
            return Progress.model_validate_json(said, extra="ignore")
        except (aiohttp.ClientError, TimeoutError, Refused, Unavailable, ValueError):
            # A run that starts, saves or compiles may be silent for a while: no news is no error.
            # Nor is nonsense (not JSON, not text, endless): the pod is a stranger to us.
            return None

    async def _direct(self, pod: ObservedPod) -> bytes:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        host = f"[{pod.ip}]" if ":" in (pod.ip or "") else pod.ip
        url = f"http://{host}:{PROGRESS_PORT}/progress"
        async with self._session.get(url, allow_redirects=False) as response:
            response.raise_for_status()
            return await read_bounded(response.content, MAX_BYTES)

    async def _proxied(self, pod: ObservedPod) -> bytes:
        path = POD.path(pod.namespace, f"{pod.name}:{PROGRESS_PORT}", "proxy/progress")
        return await self._api.get_bytes(path, TIMEOUT_SECONDS, MAX_BYTES)
