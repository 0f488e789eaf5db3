"""What tests of reconciles share: a story about a simulated cluster, and what is seen in it."""

import asyncio
from collections.abc import Awaitable, Callable

from kubernetes.aio.client.rest import ApiException

from simulation import Simulation

Story = Callable[[Simulation], Awaitable[None]]


def tell(story: Story) -> None:
    """Run a story about a cluster that has a profile."""

    async def run() -> None:
        simulation = Simulation()
        simulation.apply("ComputeProfile", "cpu")
        await simulation.start_operator()
        await story(simulation)

    asyncio.run(run())


def with_chain(simulation: Simulation) -> None:
    """Apply everything that a run needs."""
    simulation.apply("DataPipeline", "documents")
    simulation.apply("Tokenizer", "tokens")
    simulation.apply("TokenDataset", "blocks")


def state(simulation: Simulation, kind: str, name: str) -> tuple[str, str]:
    """Return phase and reason of an object."""
    phase = simulation.object(kind, name)["status"]["phase"]
    return phase, simulation.condition(kind, name, "Ready")["reason"]


def message(simulation: Simulation, kind: str, name: str) -> str:
    """Return the sentence that people read first."""
    text: str = simulation.object(kind, name)["status"]["message"]
    return text


def names(simulation: Simulation, kind: str) -> list[str]:
    """Return the names of all objects of a kind, sorted."""
    return [body["metadata"]["name"] for body in simulation.server.list(kind)]


def refuse(method: str, part: str, status: int) -> Callable[[str, str], ApiException | None]:
    """Return what makes a server refuse the requests of a method to paths with a part."""

    def answer(asked: str, path: str) -> ApiException | None:
        is_meant = asked == method and part in path
        return ApiException(status=status, reason=f"not allowed: {part}") if is_meant else None

    return answer
