"""Runs reconciles: what changed goes into the queue, and every key has one worker at a time."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pretrain_api.meta import KIND_LABEL
from pretrain_operator.cluster.cluster import Cluster
from pretrain_operator.cluster.errors import Refused, Unavailable
from pretrain_operator.cluster.resources import JOB, OURS, POD
from pretrain_operator.plan.observed import Key, ObservedObject
from pretrain_operator.reconcile.computeprofile import reconcile_profile
from pretrain_operator.reconcile.pretrainjob import reconcile_run
from pretrain_operator.reconcile.queue import WorkQueue, work
from pretrain_operator.reconcile.work import reconcile_work

logger = logging.getLogger("pretrain_operator")


async def reconcile(cluster: Cluster, key: Key, now: datetime) -> float | None:
    """Bring one object one step further; return when to look again, in seconds, if at all."""
    match key.kind:
        case "ComputeProfile":
            await reconcile_profile(cluster, key, now)
            return None
        case "PretrainJob":
            return await reconcile_run(cluster, key, now)
        case _:
            return await reconcile_work(cluster, key, now)


class Controller:
    """Takes in what is observed, and works on what it concerns."""

    def __init__(self, cluster: Cluster, namespace: str | None) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.queue: WorkQueue[Key] = WorkQueue()

    def observe(self, kind: str, body: Mapping[str, Any], deleted: bool) -> None:
        """Take in one version of an object, and queue what it concerns."""
        store = self.cluster.store
        place = (body["metadata"].get("namespace") or "", body["metadata"]["name"])
        if deleted:
            key, before = store.concerned(kind, place), self._status(kind, place)
            store.drop(kind, body)
            self._enqueue(kind, key, before)
            return
        before = self._status(kind, place)
        if store.put(kind, body):
            self._enqueue(kind, store.concerned(kind, place), before)

    def _status(self, kind: str, place: tuple[str, str]) -> ObservedObject | None:
        return self.cluster.store.get(Key(kind, *place)) if kind in OURS else None

    def _enqueue(self, kind: str, key: Key | None, before: ObservedObject | None) -> None:
        if key is None:
            return
        self.queue.add(key)
        after = self.cluster.store.get(key)
        if kind in OURS and _matters_to_others(before, after):
            for dependent in self.cluster.store.dependents(key):
                self.queue.add(dependent)

    async def resync(self) -> None:
        """List everything, and queue every object of ours: finds what a watch has missed."""
        for name, resource in OURS.items():
            namespace = self.namespace if resource.namespaced else None
            items, version = await self.cluster.api.list(resource, namespace)
            self._add_all(self.cluster.store.replace(name, items, version))
        for resource in (JOB, POD):
            items, version = await self.cluster.api.list(resource, self.namespace, KIND_LABEL)
            self.cluster.store.replace(resource.kind, items, version)
        for name in OURS:
            self._add_all(observed.key for observed in self.cluster.store.all(name))

    def _add_all(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.queue.add(key)

    async def run(self, workers: int, resync_seconds: float) -> None:
        """Work for ever: first a complete list, for half a picture leads to wrong decisions."""
        await self._resync_until_done()
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work(self.queue, self.handle))
            group.create_task(self._resync_forever(resync_seconds))

    async def handle(self, key: Key) -> float | None:
        """Reconcile one object; whatever goes wrong is logged, and tried again later."""
        try:
            delay = await reconcile(self.cluster, key, datetime.now(UTC))
        except (Refused, Unavailable) as error:
            wait = self.queue.retry(key)
            logger.warning("%s: %s; tries again in %.1f s", key, error, wait)
            return None
        except Exception as error:
            wait = self.queue.retry(key)
            logger.exception("%s: %r, an error of ours; tries again in %.1f s", key, error, wait)
            return None
        self.queue.forget(key)
        return delay

    async def _resync_until_done(self) -> None:
        wait = 1.0
        while True:
            try:
                return await self.resync()
            except (Refused, Unavailable) as error:
                logger.warning("cannot list: %s; tries again in %.0f s", error, wait)
                await asyncio.sleep(wait)
                wait = min(30.0, wait * 2)

    async def _resync_forever(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._resync_until_done()


def _matters_to_others(before: ObservedObject | None, after: ObservedObject | None) -> bool:
    """Return whether objects that refer to this one have to be looked at again."""
    if before is None or after is None:
        return True
    watched = ("artifact", "conditions", "message", "observedGeneration")
    return (
        before.generation != after.generation
        or before.annotations != after.annotations
        or before.deleting != after.deleting
        or any(before.status.get(name) != after.status.get(name) for name in watched)
    )
