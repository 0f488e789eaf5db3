"""The cluster as a reconcile sees it: what is observed, and the few things that it may do."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.cluster.resources import CHILDREN, CONFIG_MAP, JOB, OURS, SECRET
from pretrain_operator.cluster.store import Store
from pretrain_operator.plan.observed import CONFIG_MAP_ANNOTATION, Key, ObservedObject

logger = logging.getLogger("pretrain_operator")


class Cluster:
    """Reads from the store, writes to the API server, and puts the answers into the store."""

    def __init__(self, api: Api, store: Store, progress: ProgressReader) -> None:
        self.api, self.store, self.progress = api, store, progress

    async def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Apply children, in order.

        Raises:
            Refused: If the API server does not take one.
            Unavailable: If it does not answer.
        """
        for manifest in manifests:
            kind, meta = manifest["kind"], manifest["metadata"]
            answer = await self.api.apply(CHILDREN[kind], manifest)
            if kind == JOB.kind:
                self.store.put(kind, answer)
            logger.info("applied %s %s/%s", kind, meta["namespace"], meta["name"])

    async def write_status(self, owner: ObservedObject, status: Mapping[str, Any]) -> None:
        """Apply a status, if it says something new."""
        if status == owner.status:
            return
        key = owner.key
        answer = await self.api.apply_status(
            OURS[key.kind], key.namespace, key.name, owner.uid, status
        )
        if answer is not None:
            self.store.put(key.kind, answer)

    async def missing_secrets(self, namespace: str, names: Iterable[str]) -> list[str]:
        """Return the Secrets that do not exist; their contents are never read."""
        return [name for name in names if not await self.api.exists(SECRET, namespace, name)]

    async def delete_jobs(self, owner: ObservedObject, names: Iterable[str]) -> None:
        """Delete Jobs of `owner` with their pods and what these were told."""
        for name in names:
            namespace = owner.key.namespace
            logger.info("deletes Job %s/%s: %s does not need it", namespace, name, owner.key)
            job = self.store.job(namespace, name)
            told = job.annotations.get(CONFIG_MAP_ANNOTATION) if job else None
            await self.api.delete(JOB, namespace, name)
            if told:
                await self.api.delete(CONFIG_MAP, namespace, told)

    async def resize_job(self, owner: ObservedObject, name: str, parallelism: int) -> None:
        """Let more or fewer tasks of a Job run at once."""
        patch = {"spec": {"parallelism": parallelism}}
        answer = await self.api.merge(JOB, owner.key.namespace, name, patch)
        self.store.put(JOB.kind, answer)

    async def delete_object(self, owner: ObservedObject) -> None:
        """Delete an object of ours, and nothing that has taken its name since."""
        key: Key = owner.key
        logger.info("deletes %s: its time after the end is over", key)
        await self.api.delete(OURS[key.kind], key.namespace, key.name, owner.uid)
