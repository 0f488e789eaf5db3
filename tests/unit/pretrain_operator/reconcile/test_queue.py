import asyncio
from collections.abc import Coroutine
from typing import Any

from pretrain_operator.reconcile.queue import MAX_BACKOFF_SECONDS, WorkQueue, work


def run[T](coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(coroutine, timeout=5))


def test_a_key_is_queued_once_however_often_it_is_added() -> None:
    async def steps() -> int:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(5):
            queue.add("a")
        await queue.get()
        return len(queue)

    assert run(steps()) == 0


def test_a_key_that_is_added_while_it_is_processed_is_processed_once_more() -> None:
    async def steps() -> list[str]:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        first = await queue.get()
        queue.add("a")
        queue.add("b")
        second = await queue.get()
        queue.done(first)
        return [first, second, await queue.get()]

    assert run(steps()) == ["a", "b", "a"]


def test_no_key_is_processed_twice_at_the_same_time() -> None:
    async def steps() -> tuple[int, int]:
        queue: WorkQueue[int] = WorkQueue()
        busy: set[int] = set()
        handled = 0
        over = asyncio.Event()

        async def handle(key: int) -> float | None:
            nonlocal handled
            assert key not in busy
            busy.add(key)
            await asyncio.sleep(0)
            busy.discard(key)
            handled += 1
            if handled < 300:
                queue.add((key + handled) % 3)
            else:
                over.set()
            return 0.0 if handled < 300 else None

        workers = [asyncio.create_task(work(queue, handle)) for _ in range(8)]
        for key in range(3):
            queue.add(key)
        await over.wait()
        for worker in workers:
            worker.cancel()
        results = await asyncio.gather(*workers, return_exceptions=True)
        broken = sum(isinstance(result, AssertionError) for result in results)
        return handled, broken

    handled, broken = run(steps())
    assert handled >= 300
    assert broken == 0


def test_the_earlier_of_two_delays_counts() -> None:
    async def steps() -> str:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a", delay=3600)
        queue.add("a")
        queue.add("a", delay=3600)
        return await queue.get()

    assert run(steps()) == "a"


def test_a_delayed_key_comes_after_its_delay() -> None:
    async def steps() -> float:
        queue: WorkQueue[str] = WorkQueue()
        loop = asyncio.get_running_loop()
        start = loop.time()
        queue.add("a", delay=0.05)
        await queue.get()
        return loop.time() - start

    assert run(steps()) >= 0.05


def test_the_backoff_grows_with_each_failure_until_it_is_reset() -> None:
    async def steps() -> tuple[list[float], float]:
        queue: WorkQueue[str] = WorkQueue()
        delays = [queue.retry("a") for _ in range(12)]
        queue.forget("a")
        return delays, queue.retry("a")

    delays, fresh = run(steps())
    assert delays[0] < 1
    assert delays[1] < delays[3] < delays[5]
    assert delays[-1] <= MAX_BACKOFF_SECONDS * 1.25
    assert fresh < 1
