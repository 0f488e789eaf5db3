"""Plan runs in worker processes, so that other requests, and probes, do not wait for a search.

A search takes milliseconds to a second of CPU time: in a thread it would block the event loop,
which needs the same interpreter.
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
"""Concurrent searches: a small one does not have to wait for a large one."""

_CACHE_SIZE = 256
"""Cached results: a user who applies a run again does not wait for the searches of others."""

SAMPLE = {
    "model": {"preset": "llama3.2-1b"},
    "data": {"datasetRef": {"name": "any"}},
    "parallelism": {"nodes": 1},
    "training": {"tokens": 1_000_000, "sequenceLength": 1024, "globalBatchSize": 8},
    "checkpoint": {"uri": "s3://any", "every": {"steps": 1}},
}
"""A valid run: checking it once loads all code and compiles all rules."""

_LOG = logging.getLogger(__name__)


def open_workers() -> Executor:
    """Return a pool of worker processes that plan."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(WORKERS, context, _prepare_worker)


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server's process ends its workers
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    check(PRETRAIN_JOB.name, SAMPLE)


def _do_nothing() -> None:
    """Return at once: a worker that has run it is prepared."""


def _exit_with_parent() -> None:
    """Exit when the server's process ends, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


class Planning:
    """Plans a bounded number of runs at the same time, each for a bounded time."""

    def __init__(
        self, open_pool: Callable[[], Executor], max_pending: int, timeout_seconds: float
    ) -> None:
        """Plan in a pool, with at most `max_pending` runs that are planned or wait for a worker."""
        self._open_pool, self._pool = open_pool, open_pool()
        self._max_pending, self._timeout_seconds = max_pending, timeout_seconds
        self._pending = 0
        self._results: OrderedDict[AdmissionRequest, AdmissionResult] = OrderedDict()

    async def warm_up(self) -> None:
        """Wait for the workers: they take seconds to start, which no user should wait for."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.run_in_executor(self._pool, _do_nothing) for _ in range(WORKERS))
        )

    async def admit(self, request: AdmissionRequest) -> AdmissionResult:
        """Return the result for a run; without a plan if there is no time for one.

        In that case only the operator refuses a run that does not fit into memory.
        """
        if (result := self._results.get(request)) is not None:
            self._results.move_to_end(request)
            return result
        if self._pending == self._max_pending:
            return _unplanned(request, f"{self._pending} runs, the maximum, are being planned")
        pool = self._pool
        try:
            search = asyncio.get_running_loop().run_in_executor(pool, admit, request)
            self._pending += 1
            # It is pending until the search ends: after a timeout it still occupies a worker.
            search.add_done_callback(partial(self._finish, request))
            return await asyncio.wait_for(asyncio.shield(search), self._timeout_seconds)
        except TimeoutError:
            reason = f"the search for a layout takes more than {self._timeout_seconds:g} s"
        except BrokenExecutor:
            reason = "the process that planned it has ended"
            if self._pool is pool:
                self._pool = self._open_pool()
        return _unplanned(request, reason)

    def close(self) -> None:
        """Close the pool: cancel the searches that have not started, wait for the others."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _finish(self, request: AdmissionRequest, search: asyncio.Future[AdmissionResult]) -> None:
        self._pending -= 1
        # An error is raised in the request that waits for the search.
        if search.cancelled() or search.exception() is not None:
            return
        self._results[request] = search.result()
        if len(self._results) > _CACHE_SIZE:
            self._results.popitem(last=False)


def _unplanned(request: AdmissionRequest, reason: str) -> AdmissionResult:
    _LOG.warning("run %s is not planned: %s", request.name, reason)
    message = (
        f"spec.parallelism: memory and time are not checked here because {reason}; the operator"
        " checks them before it creates anything"
    )
    return admit_unplanned(request, message)
