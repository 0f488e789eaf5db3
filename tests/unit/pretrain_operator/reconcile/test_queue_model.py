"""The work queue against a model, with a clock that only the test moves."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pretrain_operator.reconcile.queue import (
    FIRST_BACKOFF_SECONDS,
    MAX_BACKOFF_SECONDS,
    WorkQueue,
    work,
)

KEYS = ("a", "b", "c")
DELAYS = (0.0, 0.5, 1.0, 1.0, 60.0)

keys, delays = st.sampled_from(KEYS), st.sampled_from(DELAYS)


class ManualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time does not pass by itself."""

    now = 0.0

    def time(self) -> float:
        """Return the time of the test."""
        return self.now


async def _let_others_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class QueueMachine(RuleBasedStateMachine):
    """A queue, its keys with their times, and those that workers process."""

    @initialize()
    def start(self) -> None:
        self.loop = ManualLoop()
        self.queue: WorkQueue[str] = WorkQueue()
        self.due: dict[str, float] = {}
        self.busy: set[str] = set()
        self.failures = dict.fromkeys(KEYS, 0)

    def teardown(self) -> None:
        """Close the loop."""
        if hasattr(self, "loop"):
            self.loop.close()

    def run[T](self, steps: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(steps)

    def ready(self) -> dict[str, float]:
        """Return the keys that a worker may take now, with their times."""
        now = self.loop.now
        return {key: at for key, at in self.due.items() if at <= now and key not in self.busy}

    def is_due_after(self, key: str, delay: float) -> None:
        at = self.loop.now + delay
        self.due[key] = min(at, self.due.get(key, at))

    @rule(key=keys, delay=delays)
    def add(self, key: str, delay: float) -> None:
        async def steps() -> None:
            self.queue.add(key, delay)

        self.run(steps())
        self.is_due_after(key, delay)

    @rule(seconds=delays)
    def wait(self, seconds: float) -> None:
        self.loop.now += seconds

    @rule(key=keys)
    def fail(self, key: str) -> None:
        """A worker fails: the backoff doubles, up to its limit."""

        async def steps() -> float:
            return self.queue.retry(key)

        delay = self.run(steps())
        want = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** self.failures[key])
        assert 0.75 * want <= delay <= 1.25 * want
        self.failures[key] += 1
        self.is_due_after(key, delay)

    @rule(key=keys)
    def succeed(self, key: str) -> None:
        self.queue.forget(key)
        self.failures[key] = 0

    @precondition(lambda self: self.ready())
    @rule()
    def take(self) -> None:
        """A worker gets a key that has been due for longest."""
        ready = self.ready()
        key = self.run(asyncio.wait_for(self.queue.get(), 1))
        assert ready[key] == min(ready.values())
        del self.due[key]
        self.busy.add(key)

    @precondition(lambda self: not self.ready())
    @rule()
    def wait_in_vain(self) -> None:
        """A worker waits, and is cancelled: no key is lost."""

        async def steps() -> bool:
            getter = asyncio.create_task(self.queue.get())
            await _let_others_run()
            is_waiting = not getter.done()
            getter.cancel()
            await asyncio.gather(getter, return_exceptions=True)
            return is_waiting

        assert self.run(steps())

    @precondition(lambda self: not self.ready())
    @rule(key=keys)
    def wait_until_a_key_is_added(self, key: str) -> None:
        """A worker that waits gets a key as soon as it is added, unless it is processed."""

        async def steps() -> str | None:
            getter = asyncio.create_task(self.queue.get())
            await _let_others_run()
            self.queue.add(key)
            await _let_others_run()
            if getter.done():
                return getter.result()
            getter.cancel()
            await asyncio.gather(getter, return_exceptions=True)
            return None

        taken = self.run(steps())
        assert taken == (None if key in self.busy else key)
        self.is_due_after(key, 0.0)
        if taken is not None:
            del self.due[key]
            self.busy.add(key)

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.busy)))
        self.queue.done(key)
        self.busy.discard(key)

    @invariant()
    def every_key_is_queued_once(self) -> None:
        if hasattr(self, "queue"):
            assert len(self.queue) == len(self.due)


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestQueueAgainstAModel = QueueMachine.TestCase


def test_a_key_whose_handler_dies_can_be_processed_again() -> None:
    class OurMistakeError(Exception):
        pass

    async def handle(key: str) -> float | None:
        raise OurMistakeError

    async def steps() -> str:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        worker = asyncio.create_task(work(queue, handle))
        (result,) = await asyncio.gather(worker, return_exceptions=True)
        assert isinstance(result, OurMistakeError)
        queue.add("a")
        return await asyncio.wait_for(queue.get(), 5)

    assert asyncio.run(steps()) == "a"
