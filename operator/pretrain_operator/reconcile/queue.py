"""The work queue: each key at most once, never processed concurrently, failures with backoff.

Keys that have changed come before those that are only looked at again, as all are after a restart.
"""

import asyncio
import heapq
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Hashable

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 120.0

_TURN = 8
"""Every so many keys one that has not changed comes first, so that none waits for ever."""


class WorkQueue[K: Hashable]:
    """Keys that are due, now or later.

    A key that is added while it is processed is processed once more afterwards.
    """

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._ready: tuple[list[tuple[float, int, K]], ...] = ([], [])
        """Keys that are due: those that have changed, and the others."""
        self._unchanged: set[K] = set()
        self._count = self._taken = 0
        self._busy: set[K] = set()
        self._failures: dict[K, int] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer_at = math.inf
        """When a worker that waits will look at the queue although nothing has changed."""

    def __len__(self) -> int:
        """Return how many keys are queued."""
        return len(self._due)

    @property
    def oldest_seconds(self) -> float:
        """Return for how long the key that waits longest has been due; 0 if none is."""
        now = asyncio.get_running_loop().time()
        return max((now - due for due in self._due.values()), default=0.0)

    def add(self, key: K, delay: float = 0.0, has_changed: bool = True) -> None:
        """Make `key` due after `delay` seconds, unless it is due earlier already."""
        due = asyncio.get_running_loop().time() + delay
        if key in self._due and self._due[key] <= due:
            if not (has_changed and key in self._unchanged and delay == 0.0):
                return
            due = self._due[key]
        if has_changed:
            self._unchanged.discard(key)
        elif key not in self._due:
            self._unchanged.add(key)
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        self._wake()

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
                self._wake()  # for the next key, if there is one, or its time
                return key
            await self._wait(wait)

    def done(self, key: K) -> None:
        """Mark `key` as no longer being processed."""
        self._busy.discard(key)
        if key in self._due:
            self._count += 1
            heapq.heappush(self._heap, (self._due[key], self._count, key))
            self._wake()

    async def _wait(self, seconds: float | None) -> None:
        """Wait until another look at the queue is due: each change wakes one worker.

        One worker waits for the time of the next key; all others only to be woken.
        """
        loop = asyncio.get_running_loop()
        deadline = math.inf if seconds is None else loop.time() + seconds
        keeps_time = deadline < self._timer_at
        self._timer_at = min(deadline, self._timer_at)
        waiter = loop.create_future()
        self._waiters.append(waiter)
        try:
            await asyncio.wait([waiter], timeout=seconds if keeps_time else None)
        except asyncio.CancelledError:
            self._leave(waiter, deadline)
            self._wake()  # what it was woken for, or kept the time of, is another one's now
            raise
        self._leave(waiter, deadline)

    def _leave(self, waiter: asyncio.Future[None], deadline: float) -> None:
        if not waiter.done():
            self._waiters.remove(waiter)
        if deadline == self._timer_at:
            self._timer_at = math.inf

    def _wake(self) -> None:
        if self._waiters:
            self._waiters.popleft().set_result(None)

    def _take(self) -> tuple[K | None, float | None]:
        """Return a key to process, or the seconds to wait for one."""
        now = asyncio.get_running_loop().time()
        while self._heap and (self._heap[0][0] <= now or not self._is_current(self._heap[0])):
            entry = heapq.heappop(self._heap)
            if self._is_current(entry):
                heapq.heappush(self._ready[entry[2] in self._unchanged], entry)
        is_turn = self._taken % _TURN == _TURN - 1
        for ready in reversed(self._ready) if is_turn else self._ready:
            while ready:
                entry = heapq.heappop(ready)
                if self._is_current(entry):
                    return self._start(entry[2]), None
        return None, self._heap[0][0] - now if self._heap else None

    def _is_current(self, entry: tuple[float, int, K]) -> bool:
        """Return whether an entry still says when its key is due; a busy key comes again."""
        due, _, key = entry
        return self._due.get(key) == due and key not in self._busy

    def _start(self, key: K) -> K:
        del self._due[key]
        self._unchanged.discard(key)
        self._busy.add(key)
        self._taken += 1
        return key


async def work[K: Hashable](
    queue: WorkQueue[K],
    handle: Callable[[K], Awaitable[float | None]],
    rest_seconds: float = 0.0,
) -> None:
    """Process keys forever.

    Args:
        queue: The keys.
        handle: Returns the seconds after which to requeue the key, if any. It must catch its
            errors: one that escapes ends the worker.
        rest_seconds: Shortest time between two turns of a key. What changes meanwhile is seen in
            one turn; the first change of a key that has rested is seen at once.
    """
    loop = asyncio.get_running_loop()
    while True:
        key = await queue.get()
        try:
            delay = await handle(key)
            if delay is not None:
                queue.add(key, delay)
        finally:
            loop.call_later(rest_seconds, queue.done, key)
