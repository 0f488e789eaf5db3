"""The controller: it follows what the cluster has, and reconciles the objects that change.

Changes enqueue keys, and workers reconcile them, each key one at a time.
"""

import asyncio
import logging
from datetime import UTC, datetime
from itertools import chain

from pretrain_api.meta import KIND_LABEL
from pretrain_operator import metrics
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.cluster import Cluster
from pretrain_operator.cluster.leadership import Leadership
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.cluster.resources import JOB, OURS, POD
from pretrain_operator.cluster.store import Store
from pretrain_operator.cluster.watches import Scope, Watch
from pretrain_operator.observed.errors import Refused, Unavailable
from pretrain_operator.observed.objects import Key
from pretrain_operator.reconcile.health import Health
from pretrain_operator.reconcile.queue import WorkQueue, work
from pretrain_operator.reconcile.reconcile import reconcile

logger = logging.getLogger("pretrain_operator")


_REST_SECONDS = 0.25
"""Shortest time between two reconciles of an object: a Job that starts changes several times in it.
"""


class Controller:
    """Watches the objects of our kinds, their Jobs and pods, and reconciles what changes."""

    def __init__(
        self,
        api: Api,
        progress: ProgressReader,
        namespace: str | None,
        leadership: Leadership | None = None,
    ) -> None:
        self._leadership = leadership
        self._is_leading = leadership is None
        self._is_listing = False
        self.queue: WorkQueue[Key] = WorkQueue()
        self._began = asyncio.get_running_loop().time()
        self.cluster = Cluster(api, Store(self._enqueue), progress)
        store, all_of = self.cluster.store, Scope(namespace)
        self._watches = [Watch(api, store, resource, all_of) for resource in OURS.values()]
        labelled = Scope(namespace, KIND_LABEL)
        self._watches += [Watch(api, store, resource, labelled) for resource in (JOB, POD)]

    def health(self) -> Health:
        """Return whether the controller follows the cluster and keeps up."""
        now = asyncio.get_running_loop().time()
        states = [watch.state for watch in self._watches]
        return Health.of(states, self._began, self.queue.oldest_seconds, now)

    def update_metrics(self) -> None:
        """Set the metrics that say how things are now."""
        found = self.health()
        metrics.QUEUE_DEPTH.set(len(self.queue))
        metrics.QUEUE_AGE.set(found.oldest_key)
        metrics.LEADING.set(self._is_leading)
        for state, silence in found.watches:
            seconds = found.uptime if silence is None else silence
            metrics.WATCH_AGE.labels(state.resource.plural).set(seconds)
        metrics.count_objects(chain.from_iterable(map(self.cluster.store.all, OURS)))

    def _enqueue(self, key: Key, with_dependents: bool) -> None:
        if not self._is_leading:
            return
        has_changed = not self._is_listing
        self.queue.add(key, has_changed=has_changed)
        if with_dependents:
            for dependent in self.cluster.store.dependents(key):
                self.queue.add(dependent, has_changed=has_changed)

    async def resync(self) -> None:
        """List all objects, and enqueue ours: this finds changes that a watch has missed."""
        for watch in self._watches:
            await watch.list()
        self._enqueue_all()

    def _enqueue_all(self) -> None:
        for name in OURS:
            for observed in self.cluster.store.all(name):
                if self._is_leading:
                    self.queue.add(observed.key, has_changed=False)

    async def run(self, workers: int, resync_seconds: float) -> None:
        """Reconcile forever, after a complete list: plans from a partial store would be wrong.

        With a leadership only while this operator leads; before, it follows the cluster already.

        Raises:
            LeadershipLost: In a group, if it leads no more.
        """
        self._is_listing = True  # all that there is: nothing of it has changed just now
        await self._resync_until_done()
        self._is_listing = False
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(watch.follow())
            group.create_task(self._resync_forever(resync_seconds))
            if self._leadership is not None:
                await self._leadership.acquire()
                group.create_task(self._leadership.keep())
                self._is_leading = True
                self._enqueue_all()
            for _ in range(workers):
                group.create_task(work(self.queue, self.handle, _REST_SECONDS))

    async def handle(self, key: Key) -> float | None:
        """Reconcile one object; any error is logged and retried with backoff."""
        about = {"object": str(key)}
        try:
            with metrics.RECONCILE_SECONDS.labels(key.kind).time():
                delay = await reconcile(self.cluster, key, datetime.now(UTC))
        except (Refused, Unavailable) as error:
            wait = self.queue.retry(key)
            result = "refused" if isinstance(error, Refused) else "unavailable"
            metrics.RECONCILES.labels(key.kind, result).inc()
            logger.warning("%s: %s; retries in %.1f s", key, error, wait, extra=about)
            return None
        except Exception as error:
            wait = self.queue.retry(key)
            metrics.RECONCILES.labels(key.kind, "error").inc()
            message = "%s: %r, an error of ours; retries in %.1f s"
            logger.exception(message, key, error, wait, extra=about)
            return None
        metrics.RECONCILES.labels(key.kind, "success").inc()
        self.queue.forget(key)
        return delay

    async def _resync_until_done(self) -> None:
        wait = 1.0
        while True:
            try:
                return await self.resync()
            except (Refused, Unavailable) as error:
                logger.warning("cannot list: %s; retries in %.0f s", error, wait)
                await asyncio.sleep(wait)
                wait = min(30.0, wait * 2)

    async def _resync_forever(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._resync_until_done()
