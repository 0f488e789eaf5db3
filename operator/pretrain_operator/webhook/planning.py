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
    AdmissionResult,
    Identity,
    Question,
    admit,
    admit_unplanned,
)

WORKERS = 2
"""Searches side by side: a small one need not wait until a large one is done."""

_REMEMBERED = 256
"""Verdicts that are kept: a user who tries again need not wait behind others' searches."""

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
        self._known: OrderedDict[Identity, AdmissionResult] = OrderedDict()
        self._busy = f"as many runs as it takes ({most}) are being planned"

    async def warm_up(self) -> None:
        """Wait for a worker: the first takes seconds to start, which no user should wait for."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._pool, _nothing) for _ in range(WORKERS)))

    async def admit(self, question: Question) -> AdmissionResult:
        """Return the verdict on a run; without a plan where there is no time for one.

        Such a run is held against the rules and its dataset at once. The operator refuses what then
        turns out not to fit.
        """
        identity = question.identity
        if (known := self._known.get(identity)) is not None:
            self._known.move_to_end(identity)
            return known
        if self._free == 0:
            return _unplanned(question, self._busy)
        pool = self._pool
        try:
            search = asyncio.get_running_loop().run_in_executor(pool, admit, question)
            self._free -= 1
            # Not when the wait for it is over: what still searches is not free.
            search.add_done_callback(partial(self._give_back, identity))
            return await asyncio.wait_for(asyncio.shield(search), self._seconds)
        except TimeoutError:
            why = f"the search for a layout takes more than {self._seconds:g} s"
        except BrokenExecutor:
            why = "the process that planned it has ended"
            if self._pool is pool:
                self._pool = self._open_pool()
        return _unplanned(question, why)

    def close(self) -> None:
        """Take no more questions; what nobody has begun to answer is dropped, the rest is done."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _give_back(self, identity: Identity, search: asyncio.Future[AdmissionResult]) -> None:
        self._free += 1
        # Who waited has been told of an error; nobody else need be.
        if search.cancelled() or search.exception() is not None:
            return
        self._known[identity] = search.result()
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _unplanned(question: Question, why: str) -> AdmissionResult:
    _LOG.warning("run %s is not planned: %s", question.name, why)
    told = (
        f"spec.parallelism: memory and time are not checked here, {why}; the operator checks them"
        " before it creates anything"
    )
    return admit_unplanned(question, told)
