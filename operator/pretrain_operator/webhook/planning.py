"""Plan runs beside the event loop: other requests, and probes, do not wait for a search.

A search takes milliseconds to a second of pure computing: a thread would keep the interpreter from
the event loop, so it runs in processes of its own.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from functools import partial

from pretrain_api.kinds import PRETRAIN_JOB
from pretrain_api.rules import check
from pretrain_operator.admission.runs import (
    AdmissionRequest,
    AdmissionResult,
    admit,
    admit_unplanned,
)

WORKERS = 2
"""Searches side by side: a small one need not wait until a large one is done."""

_REMEMBERED = 256
"""Results that are kept: a user who applies again need not wait behind other searches."""

SAMPLE = {
    "model": {"preset": "llama3.2-1b"},
    "data": {"datasetRef": {"name": "any"}},
    "parallelism": {"nodes": 1},
    "training": {"tokens": 1_000_000, "sequenceLength": 1024, "globalBatchSize": 8},
    "checkpoint": {"uri": "s3://any", "every": {"steps": 1}},
}
"""Any run: to judge it once loads all code and compiles all rules."""

_LOG = logging.getLogger(__name__)


def open_workers() -> Executor:
    """Return the processes that plan."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(WORKERS, context, _prepare_worker)


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that answers ends the others
    threading.Thread(target=_follow, daemon=True).start()
    check(PRETRAIN_JOB.name, SAMPLE)


def _nothing() -> None:
    """Be what a worker does once it is prepared."""


def _follow() -> None:
    """End with the process that answers, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


class Planning:
    """A bounded number of searches, each for a bounded time."""

    def __init__(self, open_pool: Callable[[], Executor], most: int, seconds: float) -> None:
        """Search in a pool, with `most` runs under way or waiting, each for `seconds`."""
        self._open_pool, self._pool = open_pool, open_pool()
        self._free, self._seconds = most, seconds
        self._results: OrderedDict[AdmissionRequest, AdmissionResult] = OrderedDict()
        self._busy = f"as many runs as it takes ({most}) are being planned"

    async def warm_up(self) -> None:
        """Wait for a worker: the first takes seconds to start, which no user should wait for."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._pool, _nothing) for _ in range(WORKERS)))

    async def admit(self, request: AdmissionRequest) -> AdmissionResult:
        """Return the result for a run, without a plan if there is no time for one.

        Then only the rules and the dataset are checked; the operator refuses a run that does not
        fit.
        """
        if (result := self._results.get(request)) is not None:
            self._results.move_to_end(request)
            return result
        if self._free == 0:
            return _unplanned(request, self._busy)
        pool = self._pool
        try:
            search = asyncio.get_running_loop().run_in_executor(pool, admit, request)
            self._free -= 1
            # Not when the wait for it is over: what still searches is not free.
            search.add_done_callback(partial(self._give_back, request))
            return await asyncio.wait_for(asyncio.shield(search), self._seconds)
        except TimeoutError:
            why = f"the search for a layout takes more than {self._seconds:g} s"
        except BrokenExecutor:
            why = "the process that planned it has ended"
            if self._pool is pool:
                self._pool = self._open_pool()
        return _unplanned(request, why)

    def close(self) -> None:
        """Take no more requests; searches that have not begun are dropped, the others end."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _give_back(
        self, request: AdmissionRequest, search: asyncio.Future[AdmissionResult]
    ) -> None:
        self._free += 1
        # Whoever waited has got the error.
        if search.cancelled() or search.exception() is not None:
            return
        self._results[request] = search.result()
        if len(self._results) > _REMEMBERED:
            self._results.popitem(last=False)


def _unplanned(request: AdmissionRequest, why: str) -> AdmissionResult:
    _LOG.warning("run %s is not planned: %s", request.name, why)
    reason = (
        f"spec.parallelism: memory and time are not checked here, {why}; the operator checks them"
        " before it creates anything"
    )
    return admit_unplanned(request, reason)
