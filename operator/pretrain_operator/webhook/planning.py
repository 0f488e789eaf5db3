"""Plan runs beside the event loop: other requests, and probes, do not wait for a search.

A search takes milliseconds to a second of pure computing. Threads hand the interpreter over often
enough (`SWITCH_SECONDS`), share one memory of what was asked, and end by themselves.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.plan.run_admission import Verdict, admit, admit_unplanned
from pretrain_operator.plan.surroundings import Surroundings

SWITCH_SECONDS = 0.0005
"""How long a search may keep the interpreter while the event loop waits for it; Python's own
default of 5 ms would be felt with every packet of every request."""

_LOG = logging.getLogger(__name__)
_LATER = "the operator checks them before it creates anything"


class Planning:
    """A bounded number of searches, each for a bounded time."""

    def __init__(self, threads: ThreadPoolExecutor, most: int, seconds: float) -> None:
        """Search in `threads`, with `most` runs under way or waiting, each for `seconds`."""
        self._threads = threads
        self._free, self._seconds = most, seconds
        self._busy = f"as many runs as it takes ({most}) are being planned"

    async def admit(self, name: str, spec: PretrainJobSpec, around: Surroundings) -> Verdict:
        """Return the verdict on a run; without a plan where there is no time for one.

        Such a run is held against the rules and its dataset at once. The operator refuses what then
        turns out not to fit.
        """
        if self._free == 0:
            return _unplanned(name, spec, around, self._busy)
        self._free -= 1
        search = asyncio.get_running_loop().run_in_executor(
            self._threads, admit, name, spec, around
        )
        # Not when the wait for it is over: a thread that still searches is not free.
        search.add_done_callback(self._give_back)
        try:
            return await asyncio.wait_for(asyncio.shield(search), self._seconds)
        except TimeoutError:
            why = f"the search for a layout takes more than {self._seconds:g} s"
            return _unplanned(name, spec, around, why)

    def _give_back(self, search: asyncio.Future[Verdict]) -> None:
        self._free += 1
        if not search.cancelled():
            search.exception()  # who waited has been told; nobody else need be


def _unplanned(name: str, spec: PretrainJobSpec, around: Surroundings, why: str) -> Verdict:
    _LOG.warning("run %s is not planned: %s", name, why)
    told = f"spec.parallelism: memory and time are not checked here, {why}; {_LATER}"
    return admit_unplanned(name, spec, around, told)
