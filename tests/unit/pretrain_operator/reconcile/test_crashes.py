"""The operator crashes after any of its writes, and a new one continues.

For every write of a scenario: the operator crashes before it gets the response, a new one lists all
objects, and the end state is that of an undisturbed operator.
"""

from functools import partial

import pytest

from scenarios import SCENARIOS, end_state, event_counts, play
from simulation import Simulation


def crash(write: int, simulation: Simulation) -> None:
    simulation.server.crash_after = write


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_after_any_write_leads_to_the_same_end(name: str) -> None:
    scenario = SCENARIOS[name]
    undisturbed = play(scenario)
    writes, want = undisturbed.writes, end_state(undisturbed)
    assert writes >= scenario.least_writes
    for number in range(1, writes + 1):
        disturbed = play(scenario, partial(crash, number))
        assert disturbed.writes >= number, "it never crashed"
        assert end_state(disturbed) == want, f"after write {number} of {writes}"
        assert event_counts(disturbed) <= event_counts(undisturbed), (
            f"after write {number} of {writes}"
        )
