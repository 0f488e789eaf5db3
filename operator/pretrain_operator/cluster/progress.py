"""Poll `/progress` of pod 0 of each run."""

import time
from dataclasses import dataclass

import aiohttp

from pretrain_api.paths import PROGRESS_PORT
from pretrain_api.v1alpha1.progress import Progress
from pretrain_operator.cluster.api import Api, read_bounded
from pretrain_operator.cluster.resources import POD
from pretrain_operator.observed.errors import Refused, Unavailable
from pretrain_operator.observed.objects import Key
from pretrain_operator.observed.pods import ObservedPod

TIMEOUT_SECONDS = 1.0
FIRST_INTERVAL_SECONDS, LAST_INTERVAL_SECONDS = 2.0, 15.0
"""A run is polled often while people watch it start, and ever more seldom later."""
_INTERVALS_OF_AGE = 20
"""Between two polls a run gets older by this part of its age."""
MAX_BYTES = 64 * 1024
"""Longest response that is read: it becomes part of a status."""

_POLLS_PER_SECOND = 20.0
"""With many runs each is polled less often: a poll and its reconcile cost 2 ms, so this bounds them
to 4 % of a core."""


@dataclass(frozen=True)
class _Poll:
    """The last poll of one run."""

    at: float
    """Monotonic time, in seconds."""
    since: float
    """When the pod was polled first."""
    pod_uid: str
    progress: Progress | None


class ProgressReader:
    """Polls `/progress`, of each run at most once per interval."""

    def __init__(self, api: Api, via_api_server: bool) -> None:
        self._api, self._via_api_server = api, via_api_server
        self._polls: dict[Key, _Poll] = {}
        self._session: aiohttp.ClientSession | None = None

    def interval_seconds(self, key: Key) -> float:
        """Return the seconds between two polls of a run, at its age."""
        last = self._polls.get(key)
        age = last.at - last.since if last is not None else 0.0
        wanted = min(LAST_INTERVAL_SECONDS, max(FIRST_INTERVAL_SECONDS, age / _INTERVALS_OF_AGE))
        return max(wanted, len(self._polls) / _POLLS_PER_SECOND)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def forget(self, key: Key) -> None:
        """Forget the last poll of a run that no longer runs."""
        self._polls.pop(key, None)

    async def read(self, key: Key, pod: ObservedPod) -> Progress | None:
        """Return what pod 0 of a run reports; `None` if it does not answer.

        Within the interval the last result is returned again, as a reconcile that fails after the
        poll is retried soon.
        """
        now, last = time.monotonic(), self._polls.get(key)
        is_recent = last is not None and now - last.at < self.interval_seconds(key) * 0.9
        is_same = last is not None and last.pod_uid == pod.uid
        if last is not None and is_recent and is_same:
            return last.progress
        progress = await self._poll(pod)
        since = last.since if last is not None and is_same else now
        self._polls[key] = _Poll(now, since, pod.uid, progress)
        return progress

    async def _poll(self, pod: ObservedPod) -> Progress | None:
        try:
            text = await (self._proxied(pod) if self._via_api_server else self._direct(pod))
            return Progress.model_validate_json(text, extra="ignore")
        except (aiohttp.ClientError, TimeoutError, Refused, Unavailable, ValueError):
            # Not an error: a run that starts, saves or compiles may not answer for a while, and an
            # invalid response (no JSON, no text, endless) comes from a pod, which is not trusted.
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
