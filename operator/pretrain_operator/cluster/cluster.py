"""The cluster as a reconcile sees it: all that it reads and writes."""

import asyncio
import logging
import socket
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from pretrain_api.v1alpha1.progress import Progress
from pretrain_operator.build.event import EventRecord, build_event
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.cluster.refusals import RefusalReader
from pretrain_operator.cluster.resources import (
    CHILDREN,
    CONFIG_MAP,
    JOB,
    NEW_EVENT,
    OURS,
    POD,
    SECRET,
    SERVICE,
    ObjectIdentity,
)
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.annotations import CONFIG_MAP_ANNOTATION
from pretrain_operator.observed.errors import NameConflict, Refused, Unavailable
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import Key, ObservedObject, controller_of
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.observed.states import read_status
from pretrain_operator.plan.plans import HURRY_SECONDS
from pretrain_operator.plan.requeue import RESTORE_SECONDS
from pretrain_operator.plan.secrets import secrets_not_found
from pretrain_operator.status.events import AnyStatus, status_events
from pretrain_operator.status.wire import to_wire

logger = logging.getLogger("pretrain_operator")

_EVENTS_SECONDS = 5.0
_MAX_EVENTS = 20
"""Most Events of one reconcile; after a crash, several stages or attempts may have ended."""


class Cluster:
    """Reads from the store, writes to the API server, and stores the responses."""

    def __init__(self, api: Api, store: Store, progress: ProgressReader) -> None:
        self.api, self.store, self.progress = api, store, progress
        self._refusals = RefusalReader(api)
        self._instance = socket.gethostname()
        self._complete_at: dict[Key, float] = {}
        """When the children of an object were last known to be there."""

    async def jobs(self, owner: ObservedObject, now: datetime) -> tuple[ObservedJob, ...]:
        """Return the Jobs that `owner` controls, with the reason if pods are missing."""
        return await self._refusals.explain(self.store.jobs(owner), now)

    async def apply(self, owner: ObservedObject, *manifests: Mapping[str, Any]) -> None:
        """Create these children of `owner`, in order, unless they exist.

        Raises:
            NameConflict: If an object that `owner` does not control has the name of one.
            Refused: If the API server rejects one.
            Unavailable: If the API server does not answer.
        """
        for manifest in manifests:
            kind, meta = manifest["kind"], manifest["metadata"]
            child = await self.api.create(CHILDREN[kind], manifest)
            if child is not None:
                logger.info("created %s %s/%s", kind, meta["namespace"], meta["name"])
            else:
                child = await self._existing(owner, manifest)
            if kind == JOB.kind:
                self.store.upsert(kind, child)
        self._complete_at[owner.key] = time.monotonic()

    async def restore(self, owner: ObservedObject, *manifests: Mapping[str, Any]) -> None:
        """Create again what pods of a Job need and somebody has deleted, of these children.

        A ConfigMap of another name is not what its pods read: the spec was edited since.
        """
        now = time.monotonic()
        if now - self._complete_at.get(owner.key, now - RESTORE_SECONDS) < RESTORE_SECONDS:
            return
        *parts, last = manifests
        job = self.store.job(owner.key.namespace, last["metadata"]["name"])
        read = job.annotations.get(CONFIG_MAP_ANNOTATION) if job else None
        for manifest in parts:
            kind, name = manifest["kind"], manifest["metadata"]["name"]
            if kind == CONFIG_MAP.kind and name != read:
                continue
            if await self.api.create(CHILDREN[kind], manifest) is not None:
                logger.warning("%s: %s %s was deleted; created it again", owner.key, kind, name)
        self._complete_at[owner.key] = now

    def forget(self, key: Key) -> None:
        """Forget what is remembered of an object that is gone."""
        self.progress.forget(key)
        self._complete_at.pop(key, None)

    async def _existing(self, owner: ObservedObject, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Return the existing object with the name of a child; update it if it is a Service.

        Raises:
            NameConflict: If `owner` does not control it.
            Unavailable: If it was deleted in the meantime.
        """
        resource, meta = CHILDREN[manifest["kind"]], manifest["metadata"]
        child = await self.api.get(resource, meta["namespace"], meta["name"])
        if child is None:
            raise Unavailable(f"{resource.kind} {meta['name']} existed, and is gone")
        uid = child["metadata"]["uid"]
        if controller_of(child["metadata"]).get("uid") != owner.uid:
            raise NameConflict(resource.kind, child["metadata"])
        # A ConfigMap is immutable; a Job is not changed while it runs or Kueue manages it.
        return await self.api.apply(resource, manifest, uid) if resource == SERVICE else child

    async def write_status(self, owner: ObservedObject, status: AnyStatus, now: datetime) -> None:
        """Apply a status if it has changed, and create Events for its transitions."""
        wire = to_wire(status)
        if wire == owner.status:
            return
        response = await self.api.apply_status(_identity(owner), wire, owner.resource_version)
        if response is not None:
            self.store.upsert(owner.key.kind, response)
            previous = read_status(type(status), owner)
            await self._create_events(owner, status_events(previous, status), now)

    async def _create_events(
        self, owner: ObservedObject, records: Iterable[EventRecord], now: datetime
    ) -> None:
        """Create Events; a failure or a timeout is logged and does not fail the reconcile."""
        try:
            async with asyncio.timeout(_EVENTS_SECONDS):
                for order, record in enumerate(islice(records, _MAX_EVENTS)):
                    at = now + timedelta(microseconds=order)
                    event = build_event(owner, record, at, self._instance)
                    await self.api.create(NEW_EVENT, event)
        except (Refused, Unavailable, TimeoutError) as error:
            logger.info("%s: an event is lost: %s", owner.key, error or "no answer")

    async def read_progress(
        self, owner: ObservedObject, pod: ObservedPod | None
    ) -> Progress | None:
        """Return the progress that `pod` serves; `None` without a pod or a response."""
        if pod is None:
            self.progress.forget(owner.key)
            return None
        return await self.progress.read(owner.key, pod)

    async def require_secrets(self, owner: ObservedObject, names: Iterable[str]) -> None:
        """Check that Secrets in the namespace of `owner` exist; only their metadata is read.

        Raises:
            DependencyNotReady: If one of them does not exist.
            Refused: If the operator may not look them up.
        """
        namespace = owner.key.namespace
        missing = [n for n in names if await self.api.metadata(SECRET, namespace, n) is None]
        if missing:
            raise secrets_not_found(namespace, missing)

    async def delete_jobs(self, owner: ObservedObject, names: Iterable[str]) -> None:
        """Delete Jobs of `owner`, with their pods and ConfigMaps."""
        namespace = owner.key.namespace
        for name in names:
            job = self.store.job(namespace, name)
            if job is None or job.owner_uid != owner.uid:
                continue
            logger.info("deletes Job %s/%s: %s does not need it", namespace, name, owner.key)
            # The Job last: after a crash in between, its annotation still names the ConfigMap.
            if config_map := job.annotations.get(CONFIG_MAP_ANNOTATION):
                await self._delete_config_map(owner, config_map)
            await self.api.delete(ObjectIdentity(JOB, namespace, name, job.uid))

    async def _delete_config_map(self, owner: ObservedObject, name: str) -> None:
        """Delete a ConfigMap if `owner` controls it: a user may have edited the annotation."""
        namespace = owner.key.namespace
        metadata = await self.api.metadata(CONFIG_MAP, namespace, name)
        if metadata is not None and controller_of(metadata).get("uid") == owner.uid:
            await self.api.delete(ObjectIdentity(CONFIG_MAP, namespace, name, metadata["uid"]))

    async def hurry_pods(self, owner: ObservedObject, names: Iterable[str]) -> None:
        """Let pods of `owner` end within `HURRY_SECONDS`."""
        for pod in self._pods_of(owner, names):
            logger.info("hurries pod %s/%s: a peer is lost", pod.namespace, pod.name)
            target = ObjectIdentity(POD, pod.namespace, pod.name, pod.uid)
            await self.api.delete(target, HURRY_SECONDS)

    async def declare_lost(self, owner: ObservedObject, names: Iterable[str]) -> None:
        """Declare pods of `owner` failed whose node does not: their Job replaces them then."""
        for pod in self._pods_of(owner, names):
            logger.info("declares pod %s/%s lost with node %s", pod.namespace, pod.name, pod.node)
            message = f"node {pod.node} did not confirm the end of the pod"
            status = {"phase": "Failed", "reason": "NodeLost", "message": message}
            target = ObjectIdentity(POD, pod.namespace, pod.name, pod.uid)
            await self.api.merge_status(target, status)

    def _pods_of(self, owner: ObservedObject, names: Iterable[str]) -> list[ObservedPod]:
        wanted = set(names)
        return [pod for pod in self.store.pods(owner) if pod.name in wanted]

    async def resize_job(self, owner: ObservedObject, name: str, parallelism: int) -> None:
        """Change the parallelism of a Job of `owner`."""
        namespace = owner.key.namespace
        job = self.store.job(namespace, name)
        if job is None or job.owner_uid != owner.uid:
            return
        patch = {"spec": {"parallelism": parallelism}}
        response = await self.api.merge(ObjectIdentity(JOB, namespace, name, job.uid), patch)
        self.store.upsert(JOB.kind, response)

    async def delete_object(self, owner: ObservedObject) -> None:
        """Delete an object of ours."""
        logger.info("deletes %s: spec.ttlAfterFinished is over", owner.key)
        await self.api.delete(_identity(owner))


def _identity(owner: ObservedObject) -> ObjectIdentity:
    key = owner.key
    return ObjectIdentity(OURS[key.kind], key.namespace, key.name, owner.uid)
