"""Leader election in virtual time: never two leaders, and never none for long."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.aio.client.rest import ApiException

from memory_server import MemoryServer
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.leadership import (
    GIVE_UP_SECONDS,
    LEASE_SECONDS,
    RENEW_SECONDS,
    Leadership,
    LeadershipLost,
)
from virtual_time import run

TAKEN_WITHIN = LEASE_SECONDS + 5.0
"""Seconds after the death of a leader until another one leads."""


class Operator:
    """A process that leads, waits, or has ended."""

    def __init__(self, server: MemoryServer, name: str) -> None:
        self.leadership = Leadership(Api(server), "system", "operator", name)
        self.is_leading = False
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await self.leadership.acquire()
        self.is_leading = True
        try:
            await self.leadership.keep()
        finally:
            self.is_leading = False

    async def kill(self) -> None:
        """End it as a crash does: the Lease stays as it is."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def scenario(steps: Callable[[MemoryServer], Coroutine[Any, Any, None]]) -> None:
    run(steps(MemoryServer()))


def test_the_first_leads_and_the_second_waits() -> None:
    async def steps(server: MemoryServer) -> None:
        first = Operator(server, "a")
        await asyncio.sleep(1)
        second = Operator(server, "b")
        await asyncio.sleep(3600)
        assert (first.is_leading, second.is_leading) == (True, False)
        await first.kill()
        await asyncio.sleep(TAKEN_WITHIN)
        assert second.is_leading
        await second.kill()

    scenario(steps)


def test_a_leader_that_ends_in_order_is_replaced_at_once() -> None:
    async def steps(server: MemoryServer) -> None:
        first = Operator(server, "a")
        await asyncio.sleep(1)
        second = Operator(server, "b")
        await asyncio.sleep(60)
        await first.kill()
        await first.leadership.release()
        await asyncio.sleep(2.5)
        assert second.is_leading
        await second.leadership.release()
        await first.leadership.release()  # of a Lease that is not its own
        await second.kill()

    scenario(steps)


def test_a_process_that_starts_again_under_its_name_leads_at_once() -> None:
    async def steps(server: MemoryServer) -> None:
        first = Operator(server, "a")
        await asyncio.sleep(60)
        await first.kill()
        again = Operator(server, "a")
        await asyncio.sleep(0.1)
        assert again.is_leading
        await again.kill()

    scenario(steps)


@pytest.mark.parametrize("status", [403, 409, 500])
def test_a_leader_that_cannot_renew_stops_before_another_may_begin(status: int) -> None:
    async def steps(server: MemoryServer) -> None:
        leader = Operator(server, "a")
        await asyncio.sleep(60)
        server.refuse = lambda method, path: ApiException(status=status, reason="away")
        await asyncio.sleep(GIVE_UP_SECONDS + RENEW_SECONDS)
        assert not leader.is_leading
        with pytest.raises(LeadershipLost):
            await leader.task
        assert GIVE_UP_SECONDS + RENEW_SECONDS <= LEASE_SECONDS

    scenario(steps)


@given(
    moves=st.lists(
        st.tuples(st.floats(0, 40), st.sampled_from(["kill", "release", "away", "back", "start"])),
        max_size=12,
    )
)
@settings(max_examples=100)
def test_there_are_never_two_leaders(moves: list[tuple[float, str]]) -> None:
    async def steps(server: MemoryServer) -> None:
        operators = [Operator(server, name) for name in "ab"]
        for seconds, move in moves:
            await asyncio.sleep(seconds)
            leaders = [one for one in operators if one.is_leading]
            assert len(leaders) <= 1
            if move == "away":
                server.refuse = lambda method, path: ApiException(status=503, reason="away")
            elif move == "back":
                server.refuse = lambda method, path: None
            elif move == "start":
                operators.append(Operator(server, f"operator-{len(operators)}"))
            elif leaders:
                await leaders[0].kill()
                if move == "release":
                    await leaders[0].leadership.release()
        server.refuse = lambda method, path: None
        operators.append(Operator(server, "last"))
        await asyncio.sleep(TAKEN_WITHIN + GIVE_UP_SECONDS)
        assert sum(one.is_leading for one in operators) == 1
        for one in operators:
            await one.kill()

    scenario(steps)
