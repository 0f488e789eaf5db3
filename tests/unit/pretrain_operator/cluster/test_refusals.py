"""Events of Jobs that lack pods: read seldom, and never the reason why a reconcile fails."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.aio.client.rest import ApiException

from builders import NOW, at, make_job
from memory_server import MemoryServer
from pretrain_operator.cluster import refusals
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.refusals import RefusalReader
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.plan.waiting import PATIENCE_SECONDS

QUOTA = 'Error creating: pods "j-0-abcde" is forbidden: exceeded quota: small'


class Clock(SimpleNamespace):
    """What the reader needs of the module `time`."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(refusals, "time", clock)
    return clock


def lacking(name: str = "j", **changes: Any) -> ObservedJob:
    """Return a Job that has been without pods for a minute."""
    return make_job(name, created_at=format_time(at(-60)), started_at=None, **changes)


def event(job: ObservedJob, name: str, message: str, seconds: float, **fields: Any) -> Any:
    return {
        "metadata": {"name": name},
        "lastTimestamp": format_time(at(seconds)),
        "involvedObject": {"uid": job.uid},
        "reason": "FailedCreate",
        "message": message,
        **fields,
    }


def reading[T](steps: Callable[[RefusalReader, MemoryServer], Awaitable[T]]) -> T:
    async def run() -> T:
        server = MemoryServer()
        return await steps(RefusalReader(Api(server)), server)

    return asyncio.run(run())


def test_the_newest_outcome_of_a_job_counts_and_not_that_of_another_job(clock: Clock) -> None:
    async def steps(reader: RefusalReader, server: MemoryServer) -> list[str]:
        job, other = lacking("j"), lacking("k")
        server.put("Event", event(job, "e1", "an earlier reason", -50))
        server.put("Event", event(other, "e3", "of another Job", -1))
        server.put("Event", event(job, "e2", QUOTA, -10))
        explained = await reader.explain((job, other), NOW)
        return [job.refusal for job in explained]

    first, second = reading(steps)
    assert "exceeded quota" in first
    assert "of another Job" in second


def test_jobs_that_lack_no_pods_cost_no_request(clock: Clock) -> None:
    async def steps(reader: RefusalReader, server: MemoryServer) -> int:
        new = make_job("new", created_at=format_time(NOW), started_at=None)
        await reader.explain((new, lacking(suspended=True), lacking(complete=True)), NOW)
        return len(server.requests)

    assert reading(steps) == 0


def test_events_are_read_once_in_a_while_however_often_a_job_is_reconciled(clock: Clock) -> None:
    async def steps(reader: RefusalReader, server: MemoryServer) -> list[int]:
        job, requests = lacking(), []
        server.put("Event", event(job, "e", QUOTA, -10))
        for seconds in (0.0, PATIENCE_SECONDS / 2, PATIENCE_SECONDS / 2):
            clock.now += seconds
            for _ in range(5):
                (explained,) = await reader.explain((job,), NOW)
                assert "exceeded quota" in explained.refusal
            requests.append(len(server.requests))
        return requests

    assert reading(steps) == [1, 1, 2]


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_events_that_cannot_be_read_leave_the_last_reason(clock: Clock, status: int) -> None:
    async def steps(reader: RefusalReader, server: MemoryServer) -> tuple[str, str]:
        job, stranger = lacking("j"), lacking("k")
        server.put("Event", event(job, "e", QUOTA, -10))
        await reader.explain((job,), NOW)
        clock.now += 2 * PATIENCE_SECONDS
        server.refuse = lambda method, path: ApiException(status=status, reason="no")
        first, second = await reader.explain((job, stranger), NOW)
        return first.refusal, second.refusal

    known, unknown = reading(steps)
    assert "exceeded quota" in known
    assert unknown == ""


def test_a_reason_that_is_gone_is_no_longer_shown(clock: Clock) -> None:
    async def steps(reader: RefusalReader, server: MemoryServer) -> str:
        job = lacking()
        server.put("Event", event(job, "e1", QUOTA, -10))
        await reader.explain((job,), NOW)
        created = event(job, "e2", "Created pod: j-0", -1, reason="SuccessfulCreate")
        server.put("Event", created)
        clock.now += PATIENCE_SECONDS
        (explained,) = await reader.explain((job,), NOW)
        return explained.refusal

    assert reading(steps) == ""


def test_the_memory_for_reasons_is_bounded_and_keeps_the_jobs_that_were_read_last(
    clock: Clock,
) -> None:
    async def steps(reader: RefusalReader, server: MemoryServer) -> tuple[int, int]:
        jobs = [lacking(f"j-{number}") for number in range(3000)]
        for job in jobs:
            await reader.explain((job,), NOW)
        before = len(server.requests)
        await reader.explain(tuple(jobs[-500:]), NOW)
        kept = len(server.requests) - before
        await reader.explain(tuple(jobs[:500]), NOW)
        return kept, len(server.requests) - before

    assert reading(steps) == (0, 500)
