"""Two operators at once, as during a rolling update without a lease: the end is that of one.

Before any write of the first, the second does all that it finds to do: on what is there, or on what
was there before the first began.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from memory_server import WRITES, MemoryServer
from pretrain_operator.cluster.api import Api
from scenarios import SCENARIOS, Scenario, end_state, event_counts, play
from simulation import Json, Simulation

NAMES = {
    "a pipeline that is edited": 9,
    "a tokenizer": 1,
    "a dataset": 3,
    "a run that is preempted": 2,
    "a run that is suspended": 2,
    "a run that grows": 2,
}
"""Scenarios, and every how many writes the second operator is tried: each try plays all of it."""

ENOUGH_ROUNDS = 300


class Interrupted:
    """A transport that lets somebody else go first before one of its writes."""

    def __init__(self, server: MemoryServer, write: int, other: Callable[[], Awaitable[None]]):
        self.server, self.write, self.other = server, write, other
        self.writes = 0

    async def request(self, method: str, path: str, **options: Any) -> Any:
        self.writes += method in WRITES
        if method in WRITES and self.writes == self.write:
            await self.other()
        return await self.server.request(method, path, **options)


class Pair:
    """Two operators of one cluster; the second may be blind until it is called."""

    def __init__(self, server: MemoryServer, is_blind: bool) -> None:
        self.server, self.is_blind = server, is_blind
        self.first, self.second = Simulation(server), Simulation(server)
        self.second.pods = self.first.pods
        self.unseen: list[tuple[str, Json, bool]] = []

    async def start(self, write: int) -> None:
        """Start both; the second goes before the write of that number of the first."""
        first = await self.first.start_operator()
        first_watches = self.server.watchers
        await self.second.start_operator()
        (second_watch,) = self.server.watchers

        def watch(kind: str, body: Json, deleted: bool) -> None:
            self.unseen.append((kind, body, deleted))
            if not self.is_blind:
                self.catch_up()

        self.catch_up_with = second_watch
        self.server.watchers = [*first_watches, watch]
        self.transport = Interrupted(self.server, write, self.second.settle)
        first.cluster.api = Api(self.transport)

    def catch_up(self) -> None:
        """Let the second see what it has missed."""
        for kind, body, deleted in self.unseen:
            self.catch_up_with(kind, body, deleted)
        self.unseen = []

    async def run(self) -> None:
        """Let both, and the pods, work until nothing is left to do, or no pod is scheduled."""
        for _ in range(ENOUGH_ROUNDS):
            self.catch_up()
            await self.first.settle()
            self.catch_up()
            await self.second.settle()
            if self.first.pods.step():
                continue
            due = [*self.first.due.values(), *self.second.due.values()]
            if self.first.pods.unschedulable or not due:
                return
            for operator in (self.first, self.second):
                operator.pass_time((min(due) - operator.now).total_seconds())
        raise AssertionError("two operators never come to rest")


def play_twice(scenario: Scenario, write: int, is_blind: bool) -> tuple[MemoryServer, int]:
    """Return the server at the end, and how many writes the first operator has made."""
    server = play(replace(scenario, phases=())).clone()

    async def run() -> int:
        pair = Pair(server, is_blind)
        await pair.start(write)
        for steps in scenario.phases:
            for step in steps:
                step(pair.first)
            await pair.run()
        return pair.transport.writes

    writes = asyncio.run(run())
    return server, writes


@pytest.mark.parametrize("is_blind", [False, True], ids=["sees all", "sees nothing new"])
@pytest.mark.parametrize("name", NAMES)
def test_a_second_operator_at_any_moment_changes_nothing_in_the_end(
    name: str, is_blind: bool
) -> None:
    scenario = SCENARIOS[name]
    alone = play(scenario)
    want = end_state(alone)
    write, writes = 1, alone.writes
    while write <= writes:
        server, writes = play_twice(scenario, write, is_blind)
        assert end_state(server) == want, f"before write {write} of {writes}"
        assert event_counts(server) <= event_counts(alone), f"before write {write} of {writes}"
        write += NAMES[name]
    assert writes > 3, "the first operator had nothing to do"
