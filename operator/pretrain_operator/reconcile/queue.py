"""The work queue: each key at most once, never processed concurrently, failures with backoff."""

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Hashable

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 120.0


class WorkQueue[K: Hashable]:
    """Keys that are due, now or later.

    A key that is added while it is processed is processed once more afterwards.
    """

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0
        self._busy: set[K] = set()
        self._failures: dict[K, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Return how many keys are queued."""
        return len(self._due)

    @property
    def oldest_seconds(self) -> float:
        """Return for how long the key that waits longest has been due; 0 if none is."""
        now = asyncio.get_running_loop().time()
        return max((now - due for due in self._due.values()), default=0.0)

    def add(self, key: K, delay: float = 0.0) -> None:
        """Make `key` due after `delay` seconds, unless it is due earlier already."""
        due = asyncio.get_running_loop().time() + delay
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        self._changed.set()

    def retry(self, key: K) -> float:
        """Requeue `key` after a failure; return the backoff, in seconds.

        The backoff doubles with every failure. A jitter of a quarter spreads the retries of objects
        that failed together.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(failures, 20))
        delay *= random.uniform(0.75, 1.25)
        self.add(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Reset the backoff of `key` after a success."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Return the next key that is due and not being processed; `done` must follow."""
        while True:
            key, wait = self._take()
            if key is not None:
                return key
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        """Mark `key` as no longer being processed."""
        self._busy.discard(key)
        if key in self._due:
            self._count += 1
            heapq.heappush(self._heap, (self._due[key], self._count, key))
        self._changed.set()

    def _take(self) -> tuple[K | None, float | None]:
        """Return a key to process, or the seconds to wait for one."""
        now = asyncio.get_running_loop().time()
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) != due or key in self._busy:
                heapq.heappop(self._heap)  # outdated, or pushed again by `done`
                continue
            if due > now:
                return None, due - now
            heapq.heappop(self._heap)
            del self._due[key]
            self._busy.add(key)
            return key, None
        return None, None


async def work[K: Hashable](
    queue: WorkQueue[K], handle: Callable[[K], Awaitable[float | None]]
) -> None:
    """Process keys forever; `handle` returns the seconds after which to requeue the key, if any.

    `handle` must catch its errors: one that escapes ends the worker.
    """
    while True:
        key = await queue.get()
        try:
            delay = await handle(key)
            if delay is not None:
                queue.add(key, delay)
        finally:
            queue.done(key)
