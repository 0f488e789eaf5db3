"""The operator dies after any one of its writes, and another one goes on from what is there.

For every write of a scenario: the operator ends after it, without its answer, a new one lists what
there is, and the end state is that of an operator that was never disturbed.
"""

from functools import partial

import pytest

from scenarios import SCENARIOS, end_state, play, told
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
        assert told(disturbed) <= told(undisturbed), f"after write {number} of {writes}"
