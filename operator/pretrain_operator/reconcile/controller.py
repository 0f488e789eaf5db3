"""The controller: changes enqueue keys, and workers reconcile them, each key one at a time."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pretrain_api.meta import KIND_LABEL
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.cluster import Cluster
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.cluster.resources import JOB, OURS, POD
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.errors import Refused, Unavailable
from pretrain_operator.observed.objects import Key
from pretrain_operator.reconcile.queue import WorkQueue, work
from pretrain_operator.reconcile.reconcile import reconcile

logger = logging.getLogger("pretrain_operator")


class Controller:
    """Stores what watches and lists report, and reconciles the objects that it concerns."""

    def __init__(self, api: Api, progress: ProgressReader, namespace: str | None) -> None:
        self.queue: WorkQueue[Key] = WorkQueue()
        self.cluster = Cluster(api, Store(self._enqueue), progress)
        self.namespace = namespace

    def observe(self, kind: str, body: Mapping[str, Any], deleted: bool) -> None:
        """Store one version of an object, and enqueue the objects that it concerns."""
        if deleted:
            self.cluster.store.drop(kind, body)
        else:
            self.cluster.store.upsert(kind, body)

    def _enqueue(self, key: Key, with_dependents: bool) -> None:
        self.queue.add(key)
        if with_dependents:
            for dependent in self.cluster.store.dependents(key):
                self.queue.add(dependent)

    async def resync(self) -> None:
        """List all objects, and enqueue ours: this finds changes that a watch has missed."""
        for name, resource in OURS.items():
            namespace = self.namespace if resource.namespaced else None
            items, version = await self.cluster.api.list(resource, namespace)
            self.cluster.store.replace(name, items, version)
        for resource in (JOB, POD):
            items, version = await self.cluster.api.list(resource, self.namespace, KIND_LABEL)
            self.cluster.store.replace(resource.kind, items, version)
        for name in OURS:
            for observed in self.cluster.store.all(name):
                self.queue.add(observed.key)

    async def run(self, workers: int, resync_seconds: float) -> None:
        """Reconcile forever, after a complete list: plans from a partial store would be wrong."""
        await self._resync_until_done()
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work(self.queue, self.handle))
            group.create_task(self._resync_forever(resync_seconds))

    async def handle(self, key: Key) -> float | None:
        """Reconcile one object; any error is logged and retried with backoff."""
        try:
            delay = await reconcile(self.cluster, key, datetime.now(UTC))
        except (Refused, Unavailable) as error:
            wait = self.queue.retry(key)
            logger.warning("%s: %s; retries in %.1f s", key, error, wait)
            return None
        except Exception as error:
            wait = self.queue.retry(key)
            logger.exception("%s: %r, an error of ours; retries in %.1f s", key, error, wait)
            return None
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
