"""Requests that fail once: the end state is the same, and nothing is done twice.

For every request of a scenario: it fails, before or after it took effect.
"""

from collections.abc import Callable

import pytest
from kubernetes.aio.client.rest import ApiException

from scenarios import SCENARIOS, end_state, play
from simulation import Simulation

NAMES = (
    "a profile",
    "a pipeline whose profile changes",
    "a tokenizer",
    "a dataset",
    "a run that is preempted",
    "a run that is suspended",
    "a run that is deleted after its time",
)

Fault = Callable[[Simulation, int], None]


def refused_before(simulation: Simulation, request: int) -> None:
    """Respond with 500 or 409, without any effect."""
    status = (500, 409)[request % 2]

    def refuse(method: str, path: str) -> ApiException | None:
        if len(simulation.server.requests) != request or "/events" in path:
            return None
        # For a creation or a deletion, 409 means that another object has the name.
        is_conflict = status == 409 and method == "patch"
        return ApiException(status=status if is_conflict else 500, reason="once")

    simulation.server.refuse = refuse


def lost_after(simulation: Simulation, request: int) -> None:
    """Let the request take effect, and lose the response."""
    simulation.server.lose_response_of = request


@pytest.mark.parametrize("fault", [refused_before, lost_after])
@pytest.mark.parametrize("name", NAMES)
def test_a_request_that_fails_once_changes_nothing_in_the_end(name: str, fault: Fault) -> None:
    scenario = SCENARIOS[name]
    undisturbed = play(scenario)
    want = end_state(undisturbed)
    for number, (_, path) in enumerate(undisturbed.requests, start=1):
        if path.endswith("/progress"):
            continue  # the step of a run that could not be polled is unknown afterwards
        disturbed = play(scenario, lambda simulation: fault(simulation, number))  # noqa: B023
        assert end_state(disturbed) == want, f"request {number}: {path}"
