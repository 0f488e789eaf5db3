"""The work queue against a model, with a clock that only the test moves."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pretrain_operator.reconcile.queue import (
    FIRST_BACKOFF_SECONDS,
    MAX_BACKOFF_SECONDS,
    WorkQueue,
    work,
)
from virtual_time import run

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
        self.unchanged: set[str] = set()
        self.taken = 0
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

    def is_due_after(self, key: str, delay: float, has_changed: bool = True) -> None:
        at = self.loop.now + delay
        is_earlier = key not in self.due or at < self.due[key]
        if has_changed and (is_earlier or delay == 0.0):
            self.unchanged.discard(key)
        elif key not in self.due:
            self.unchanged.add(key)
        self.due[key] = min(at, self.due.get(key, at))

    @rule(key=keys, delay=delays, has_changed=st.booleans())
    def add(self, key: str, delay: float, has_changed: bool) -> None:
        async def steps() -> None:
            self.queue.add(key, delay, has_changed)

        self.run(steps())
        self.is_due_after(key, delay, has_changed)

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
        """A worker gets the key that has been due for longest, of those that have changed."""
        ready = self.ready()
        key = self.run(asyncio.wait_for(self.queue.get(), 1))
        changed = {one: at for one, at in ready.items() if one not in self.unchanged}
        others = {one: at for one, at in ready.items() if one in self.unchanged}
        is_turn = self.taken % 8 == 7
        first = (others or changed) if is_turn else (changed or others)
        assert first.get(key) == min(first.values())
        self.is_taken(key)

    def is_taken(self, key: str) -> None:
        del self.due[key]
        self.unchanged.discard(key)
        self.busy.add(key)
        self.taken += 1

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
            self.is_taken(key)

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


def test_a_change_does_not_wait_for_all_that_is_looked_at_after_a_restart() -> None:
    async def steps() -> list[int]:
        queue: WorkQueue[int] = WorkQueue()
        for key in range(5000):
            queue.add(key, has_changed=False)
        queue.add(4000)  # was queued already
        queue.add(9999)
        return [await queue.get() for _ in range(16)]

    first = asyncio.run(steps())
    assert first[:2] == [4000, 9999]
    assert first[2:] == list(range(14))


def test_what_has_not_changed_gets_its_turn_while_changes_go_on() -> None:
    async def steps() -> int:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("unchanged", has_changed=False)
        for turn in range(100):
            queue.add("changes")
            queue.add("too")
            key = await queue.get()
            queue.done(key)
            if key == "unchanged":
                return turn
        return 100

    assert asyncio.run(steps()) <= 8


def test_many_workers_take_every_key_when_it_is_due_and_few_of_them_wake() -> None:
    taken: list[tuple[float, int]] = []
    looks = 0

    class Counted(WorkQueue[int]):
        def _take(self) -> tuple[int | None, float | None]:
            nonlocal looks
            looks += 1
            return super()._take()

    async def steps() -> None:
        clock = asyncio.get_running_loop().time
        queue = Counted()

        async def handle(key: int) -> float | None:
            taken.append((clock(), key))
            await asyncio.sleep(0.01)
            return None

        workers = [asyncio.create_task(work(queue, handle)) for _ in range(32)]
        await asyncio.sleep(0)
        queue.add(1000, 60.0)
        for key in range(100):
            queue.add(key, 50.0 - key / 10)  # each earlier than all before it
        await asyncio.sleep(45)
        for worker in workers[:16]:
            worker.cancel()  # the one that keeps the time may be among them
        await asyncio.sleep(20)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    run(steps())
    due = {1000: 60.0} | {key: 50.0 - key / 10 for key in range(100)}
    assert sorted(key for _, key in taken) == sorted(due)
    assert all(at == pytest.approx(due[key], abs=0.02) for at, key in taken)
    assert looks < 101 * 8


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
