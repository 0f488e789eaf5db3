"""The cluster as a reconcile sees it: what is observed, and the few things that it may do."""

import asyncio
import logging
import socket
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from pretrain_operator.build.event import EventRecord, build_event
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.errors import NameConflict, Refused, Unavailable
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.cluster.refusals import RefusalReader
from pretrain_operator.cluster.resources import (
    CHILDREN,
    CONFIG_MAP,
    JOB,
    NEW_EVENT,
    OURS,
    SECRET,
    SERVICE,
)
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.annotations import CONFIG_MAP_ANNOTATION
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import Key, ObservedObject, controller_of

logger = logging.getLogger("pretrain_operator")

_ANNOUNCE_SECONDS = 5.0
_MOST_ANNOUNCEMENTS = 20
"""Events of one reconcile: stages of a pipeline, attempts found after a crash."""


class Cluster:
    """Reads from the store, writes to the API server, and puts the answers into the store."""

    def __init__(self, api: Api, store: Store, progress: ProgressReader) -> None:
        self.api, self.store, self.progress = api, store, progress
        self._refusals = RefusalReader(api)
        self._instance = socket.gethostname()

    async def jobs(self, owner: ObservedObject, now: datetime) -> tuple[ObservedJob, ...]:
        """Return the Jobs that `owner` controls, and why pods are missing."""
        return await self._refusals.explain(self.store.jobs(owner), now)

    async def apply(self, owner: ObservedObject, *manifests: Mapping[str, Any]) -> None:
        """Make sure that there are these children of `owner`, in order.

        Raises:
            NameConflict: If an object that `owner` does not control has the name of one.
            Refused: If the API server does not take one.
            Unavailable: If it does not answer.
        """
        for manifest in manifests:
            kind, meta = manifest["kind"], manifest["metadata"]
            made = await self.api.create(CHILDREN[kind], manifest)
            if made is not None:
                logger.info("created %s %s/%s", kind, meta["namespace"], meta["name"])
            else:
                made = await self._find(owner, manifest)
            if kind == JOB.kind:
                self.store.put(kind, made)

    async def _find(self, owner: ObservedObject, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Return the child that is there already."""
        resource, meta = CHILDREN[manifest["kind"]], manifest["metadata"]
        found = await self.api.get(resource, meta["namespace"], meta["name"])
        if found is None:
            raise Unavailable(f"{resource.kind} {meta['name']} was there, and is gone")
        uid = found["metadata"]["uid"]
        if controller_of(found["metadata"]).get("uid") != owner.uid:
            raise NameConflict(resource.kind, found["metadata"])
        # A ConfigMap never changes, and what runs is not changed under way (nor taken from Kueue).
        return await self.api.apply(resource, manifest, uid) if resource == SERVICE else found

    async def write_status(
        self,
        owner: ObservedObject,
        status: Mapping[str, Any],
        said: Iterable[EventRecord],
        now: datetime,
    ) -> None:
        """Apply a status, if it says something new, and announce what it is."""
        if status == owner.status:
            return
        key = owner.key
        answer = await self.api.apply_status(
            OURS[key.kind], key.namespace, key.name, owner.uid, status
        )
        if answer is not None:
            self.store.put(key.kind, answer)
            await self._announce(owner, said, now)

    async def _announce(
        self, owner: ObservedObject, said: Iterable[EventRecord], now: datetime
    ) -> None:
        """Write events; that one is lost, or late, is nothing to stop for."""
        try:
            async with asyncio.timeout(_ANNOUNCE_SECONDS):
                for order, one in enumerate(islice(said, _MOST_ANNOUNCEMENTS)):
                    at = now + timedelta(microseconds=order)
                    event = build_event(owner, one, at, self._instance)
                    await self.api.create(NEW_EVENT, event)
        except (Refused, Unavailable, TimeoutError) as error:
            logger.info("%s: an event is lost: %s", owner.key, error or "no answer")

    async def missing_secrets(self, namespace: str, names: Iterable[str]) -> list[str]:
        """Return the Secrets that do not exist; their contents are never read."""
        return [name for name in names if await self.api.metadata(SECRET, namespace, name) is None]

    async def delete_jobs(self, owner: ObservedObject, names: Iterable[str]) -> None:
        """Delete Jobs of `owner` with their pods and what these were told."""
        namespace = owner.key.namespace
        for name in names:
            job = self.store.job(namespace, name)
            if job is None or job.owner_uid != owner.uid:
                continue
            logger.info("deletes Job %s/%s: %s does not need it", namespace, name, owner.key)
            await self.api.delete(JOB, namespace, name, job.uid)
            if told := job.annotations.get(CONFIG_MAP_ANNOTATION):
                await self._delete_config_map(owner, told)

    async def _delete_config_map(self, owner: ObservedObject, name: str) -> None:
        """Delete what pods were told, if it is ours: an annotation may name anything."""
        found = await self.api.metadata(CONFIG_MAP, owner.key.namespace, name)
        if found is not None and controller_of(found).get("uid") == owner.uid:
            await self.api.delete(CONFIG_MAP, owner.key.namespace, name, found["uid"])

    async def resize_job(self, owner: ObservedObject, name: str, parallelism: int) -> None:
        """Let more or fewer tasks of a Job run at once."""
        job = self.store.job(owner.key.namespace, name)
        if job is None or job.owner_uid != owner.uid:
            return
        patch = {"spec": {"parallelism": parallelism}}
        answer = await self.api.merge(JOB, owner.key.namespace, name, job.uid, patch)
        self.store.put(JOB.kind, answer)

    async def delete_object(self, owner: ObservedObject) -> None:
        """Delete an object of ours, and nothing that has taken its name since."""
        key: Key = owner.key
        logger.info("deletes %s: its time after the end is over", key)
        await self.api.delete(OURS[key.kind], key.namespace, key.name, owner.uid)
