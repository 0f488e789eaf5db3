"""The operator dies after any one of its writes, and another one goes on from what is there.

For every write of a scenario: the operator ends after it, without its answer, a new one lists what
there is, and the end state is that of an operator that was never disturbed.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest

from builders import profile_spec, run_spec
from memory_server import Crashed, MemoryServer
from pretrain_api.reports import ExitClass, ExitReport
from simulation import Json, Simulation

Step = Callable[[Simulation], None]

_VOLATILE = ("resourceVersion", "lastTransitionTime", "startedAt", "endedAt")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def nothing(simulation: Simulation) -> None:
    """Start with an empty cluster."""


def inputs(simulation: Simulation) -> None:
    """Start with complete documents, tokenizer and token blocks."""
    simulation.apply("ComputeProfile", "cpu")
    simulation.apply("DataPipeline", "documents")
    simulation.apply("Tokenizer", "tokens")
    simulation.apply("TokenDataset", "blocks")


def new_profile(simulation: Simulation) -> None:
    simulation.apply("ComputeProfile", "cpu")


def new_pipeline(simulation: Simulation) -> None:
    simulation.apply("ComputeProfile", "cpu")
    simulation.apply("DataPipeline", "documents")


def edited_rules(simulation: Simulation) -> None:
    simulation.edit("DataPipeline", "documents", rules=[{"length": {"minCharacters": 9}}])


def new_tokenizer(simulation: Simulation) -> None:
    simulation.apply("Tokenizer", "other")


def new_dataset(simulation: Simulation) -> None:
    simulation.apply("TokenDataset", "other")


def new_run(simulation: Simulation) -> None:
    simulation.apply("PretrainJob", "run")


def preempted_once(simulation: Simulation) -> None:
    """Apply a run whose first attempt is preempted."""

    def outcome(job: Json, rank: int) -> ExitReport:
        if job["metadata"]["name"].endswith("-a1"):
            return ExitReport(exit_class=ExitClass.PREEMPTED, rank=rank)
        return simulation.pods.succeed(job, rank)

    simulation.pods.outcome = outcome
    simulation.apply("PretrainJob", "run")


def no_room(simulation: Simulation) -> None:
    simulation.pods.held = True


def other_profile(simulation: Simulation) -> None:
    """Change where pods run; now there is room for them."""
    simulation.pods.held = False
    spec = profile_spec(pods={"env": {"A": "1"}})
    simulation.server.put("ComputeProfile", {"metadata": {"name": "cpu"}, "spec": spec})


def fewer_at_once(simulation: Simulation) -> None:
    simulation.edit("DataPipeline", "documents", parallelism=1)


def room_again(simulation: Simulation) -> None:
    simulation.pods.held = False


def suspended(simulation: Simulation) -> None:
    simulation.edit("PretrainJob", "run", suspend=True)


def resumed(simulation: Simulation) -> None:
    simulation.pods.held = False
    simulation.edit("PretrainJob", "run", suspend=False)


def short_lived_run(simulation: Simulation) -> None:
    simulation.apply("PretrainJob", "run", spec=run_spec(ttlAfterFinished="1m"))


def longer_run(simulation: Simulation) -> None:
    longer = {**run_spec()["training"], "tokens": "2M"}
    simulation.edit("PretrainJob", "run", training=longer)


SCENARIOS: dict[str, tuple[Step, list[list[Step]], int]] = {
    "a profile": (nothing, [[new_profile]], 2),
    "a pipeline": (nothing, [[new_pipeline]], 30),
    "a pipeline that is edited": (new_pipeline, [[edited_rules]], 30),
    "a pipeline whose profile changes": (
        nothing,
        [[no_room, new_pipeline], [other_profile]],
        30,
    ),
    "a pipeline that is given less room": (
        new_pipeline,
        [[no_room, edited_rules], [fewer_at_once], [room_again]],
        30,
    ),
    "a tokenizer": (inputs, [[new_tokenizer]], 5),
    "a dataset": (inputs, [[new_dataset]], 15),
    "a run": (inputs, [[new_run]], 8),
    "a run that is preempted": (inputs, [[preempted_once]], 12),
    "a run whose profile changes": (inputs, [[no_room, new_run], [other_profile]], 10),
    "a run that is suspended": (inputs, [[no_room, new_run], [suspended], [resumed]], 12),
    "a run that is deleted after its time": (inputs, [[short_lived_run]], 8),
    "a run that grows": (inputs, [[new_run], [longer_run]], 12),
}
"""What there is, what the user does each time the cluster has come to rest, and the least writes
that this takes: a scenario that stops to do what its name says would be noticed."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_after_any_write_leads_to_the_same_end(name: str) -> None:
    start, phases, least = SCENARIOS[name]
    undisturbed = play(start, phases, crash_after=None)
    writes = undisturbed.writes
    assert writes >= least
    want = end_state(undisturbed)
    for number in range(1, writes + 1):
        disturbed = play(start, phases, crash_after=number)
        assert end_state(disturbed) == want, f"after write {number} of {writes}"
        assert told(disturbed) <= told(undisturbed), f"after write {number} of {writes}"


def play(start: Step, phases: list[list[Step]], crash_after: int | None) -> MemoryServer:
    """Return the server after all phases; the operator crashes once, after that many writes."""
    simulation = Simulation(_prepared(start).clone())
    simulation.server.crash_after = crash_after
    asyncio.run(_play(simulation, phases))
    if crash_after is not None:
        assert simulation.server.writes >= crash_after, "it never crashed"
    return simulation.server


async def _play(simulation: Simulation, phases: list[list[Step]]) -> None:
    await simulation.start_operator()
    for steps in phases:
        for step in steps:
            step(simulation)
        try:
            await simulation.run()
        except Crashed:
            await simulation.start_operator()
            await simulation.run()


@cache
def _prepared(start: Step) -> MemoryServer:
    """Return a server with what a scenario starts from."""
    simulation = Simulation()
    start(simulation)
    asyncio.run(simulation.run())
    return simulation.server


def end_state(server: MemoryServer) -> dict[str, Json]:
    """Return all objects but Events, without versions and times."""
    return {
        "/".join(name): json.loads(_TIME.sub("TIME", json.dumps(_without_volatile(body))))
        for name, body in server.objects.items()
        if body["kind"] != "Event"
    }


def _without_volatile(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_volatile(item) for key, item in value.items() if key not in _VOLATILE}
    return [_without_volatile(item) for item in value] if isinstance(value, list) else value


def told(server: MemoryServer) -> Counter[tuple[str, str, str]]:
    """Return how often each step of each object was told in an Event."""
    steps = ("StageFinished", "AttemptStarted", "AttemptEnded", "Complete", "Failed")
    return Counter(
        (event["regarding"]["uid"], event["reason"], event["note"])
        for event in server.list("Event")
        if event["reason"] in steps
    )
