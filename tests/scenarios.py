"""Scenarios: what a user does in a simulated cluster, and the end state.

After each phase of user actions, operator and pods run until nothing is left to do.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from builders import profile_spec, run_spec
from memory_server import Crashed, MemoryServer
from pretrain_api.reports import ExitClass, ExitReport
from simulation import Json, Simulation

Step = Callable[[Simulation], None]

_VOLATILE = ("resourceVersion", "lastTransitionTime", "startedAt", "endedAt")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True)
class Scenario:
    """A start, and phases of user actions."""

    start: Step
    """Prepares the cluster; it is not disturbed by crashes and faults."""
    phases: tuple[tuple[Step, ...], ...]
    least_writes: int
    """Lower bound of the writes: a scenario that no longer does what its name says has fewer."""


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


def no_free_node(simulation: Simulation) -> None:
    simulation.pods.unschedulable = True


def other_profile(simulation: Simulation) -> None:
    """Change where pods run; a node is free now."""
    simulation.pods.unschedulable = False
    spec = profile_spec(pods={"env": {"A": "1"}})
    simulation.server.put("ComputeProfile", {"metadata": {"name": "cpu"}, "spec": spec})


def fewer_at_once(simulation: Simulation) -> None:
    simulation.edit("DataPipeline", "documents", parallelism=1)


def free_node(simulation: Simulation) -> None:
    simulation.pods.unschedulable = False


def suspended(simulation: Simulation) -> None:
    simulation.edit("PretrainJob", "run", suspend=True)


def resumed(simulation: Simulation) -> None:
    simulation.pods.unschedulable = False
    simulation.edit("PretrainJob", "run", suspend=False)


def short_lived_run(simulation: Simulation) -> None:
    simulation.apply("PretrainJob", "run", spec=run_spec(ttlAfterFinished="1m"))


def longer_run(simulation: Simulation) -> None:
    longer = {**run_spec()["training"], "tokens": "2M"}
    simulation.edit("PretrainJob", "run", training=longer)


SCENARIOS = {
    "a profile": Scenario(nothing, ((new_profile,),), 2),
    "a pipeline": Scenario(nothing, ((new_pipeline,),), 30),
    "a pipeline that is edited": Scenario(new_pipeline, ((edited_rules,),), 30),
    "a pipeline whose profile changes": Scenario(
        nothing, ((no_free_node, new_pipeline), (other_profile,)), 30
    ),
    "a pipeline with fewer tasks at once": Scenario(
        new_pipeline, ((no_free_node, edited_rules), (fewer_at_once,), (free_node,)), 30
    ),
    "a tokenizer": Scenario(inputs, ((new_tokenizer,),), 5),
    "a dataset": Scenario(inputs, ((new_dataset,),), 15),
    "a run": Scenario(inputs, ((new_run,),), 8),
    "a run that is preempted": Scenario(inputs, ((preempted_once,),), 12),
    "a run whose profile changes": Scenario(
        inputs, ((no_free_node, new_run), (other_profile,)), 10
    ),
    "a run that is suspended": Scenario(
        inputs, ((no_free_node, new_run), (suspended,), (resumed,)), 12
    ),
    "a run that is deleted after its time": Scenario(inputs, ((short_lived_run,),), 8),
    "a run that grows": Scenario(inputs, ((new_run,), (longer_run,)), 12),
}


def play(scenario: Scenario, prepare: Step = nothing) -> MemoryServer:
    """Return the server after all phases; `prepare` may set up crashes and faults."""
    simulation = Simulation(_prepared(scenario.start).clone())
    prepare(simulation)
    asyncio.run(_play(simulation, scenario))
    return simulation.server


async def _play(simulation: Simulation, scenario: Scenario) -> None:
    await simulation.start_operator()
    for steps in scenario.phases:
        for step in steps:
            step(simulation)
        try:
            await simulation.run()
        except Crashed:
            await simulation.start_operator()
            await simulation.run()


@cache
def _prepared(start: Step) -> MemoryServer:
    """Return a server in the state from which a scenario starts."""
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


def event_counts(server: MemoryServer) -> Counter[tuple[str, str, str]]:
    """Return how many Events report each step of each object."""
    steps = ("StageFinished", "AttemptStarted", "AttemptEnded", "Complete", "Failed")
    return Counter(
        (event["regarding"]["uid"], event["reason"], event["note"])
        for event in server.list("Event")
        if event["reason"] in steps
    )
