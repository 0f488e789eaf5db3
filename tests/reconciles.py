"""Run the steps of a test in a simulated cluster, and read its objects."""

import asyncio
from collections.abc import Awaitable, Callable

from kubernetes.aio.client.rest import ApiException

from simulation import Simulation

Steps = Callable[[Simulation], Awaitable[None]]


def simulate(steps: Steps) -> None:
    """Run the steps of a test in a cluster that has a profile."""

    async def run() -> None:
        simulation = Simulation()
        simulation.apply("ComputeProfile", "cpu")
        await simulation.start_operator()
        await steps(simulation)

    asyncio.run(run())


def with_chain(simulation: Simulation) -> None:
    """Apply all objects that a run needs."""
    simulation.apply("DataPipeline", "documents")
    simulation.apply("Tokenizer", "tokens")
    simulation.apply("TokenDataset", "blocks")


def state(simulation: Simulation, kind: str, name: str) -> tuple[str, str]:
    """Return the phase of an object, and the reason of its condition Ready."""
    phase = simulation.object(kind, name)["status"]["phase"]
    return phase, simulation.condition(kind, name, "Ready")["reason"]


def message(simulation: Simulation, kind: str, name: str) -> str:
    """Return the message in the status of an object."""
    text: str = simulation.object(kind, name)["status"]["message"]
    return text


def names(simulation: Simulation, kind: str) -> list[str]:
    """Return the names of all objects of a kind, sorted."""
    return [body["metadata"]["name"] for body in simulation.server.list(kind)]


def refuse(method: str, part: str, status: int) -> Callable[[str, str], ApiException | None]:
    """Return a `MemoryServer.refuse` for requests with this method and `part` in their path."""

    def respond(request_method: str, path: str) -> ApiException | None:
        is_refused = request_method == method and part in path
        return ApiException(status=status, reason=f"not allowed: {part}") if is_refused else None

    return respond
