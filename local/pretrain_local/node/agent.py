"""The node itself: follows the pods bound to it and gives each one a worker."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from pretrain_local.node.api.client import UNREACHABLE, ApiError
from pretrain_local.node.api.pods import Pod
from pretrain_local.node.context import NodeContext
from pretrain_local.node.heartbeat import keep_registered
from pretrain_local.node.logs import LogServer
from pretrain_local.node.runtime import attempts as containers
from pretrain_local.node.worker import PodWorker

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.3
_ORPHAN_GRACE_SECONDS = 5.0


class Agent:
    """A running node."""

    def __init__(self, node: NodeContext) -> None:
        self._node = node
        self._workers: dict[str, PodWorker] = {}
        self._orphans: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run pods until cancelled; pods outlive the node, and the next one finds them."""
        server = await LogServer(self._node).start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(keep_registered(self._node))
                group.create_task(self._follow())
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.cleanup()
            await self._node.client.close()

    async def _follow(self) -> None:
        path = f"/api/v1/pods?fieldSelector=spec.nodeName={self._node.name}"
        while True:
            try:
                listing = await self._node.client.request("GET", path)
                self._replace(listing["items"])
                version = listing["metadata"]["resourceVersion"]
                async for event in self._node.client.watch(path, version):
                    if event["type"] == "ERROR":
                        break
                    self._take(event["type"], event["object"])
            except (ApiError, *UNREACHABLE) as error:
                _log.warning("watching pods: %s; trying again", error)
            await asyncio.sleep(_RETRY_SECONDS)

    def _replace(self, items: Iterable[dict[str, Any]]) -> None:
        """Take in all pods there are; what is not among them is gone."""
        known = set()
        for item in items:
            known.add(item["metadata"]["uid"])
            self._take("MODIFIED", item)
        for uid, worker in self._workers.items():
            if uid not in known:
                worker.remove()
        for uid in self._node.registry.on_disk():
            if uid not in known and uid not in self._workers and uid not in self._orphans:
                self._orphans.add(uid)
                self._keep(asyncio.create_task(self._dispose_orphan(uid)))

    def _take(self, kind: str, item: dict[str, Any]) -> None:
        try:
            pod = Pod.model_validate(item)
        except ValidationError:
            _log.exception("cannot read pod %s", item.get("metadata", {}).get("name"))
            return
        uid = pod.metadata.uid
        worker = self._workers.get(uid)
        if kind == "DELETED":
            if worker is not None:
                worker.remove()
        elif worker is not None:
            worker.update(pod)
        else:
            worker = PodWorker(pod, self._node)
            self._workers[uid] = worker
            self._keep(asyncio.create_task(self._work(uid, worker)))

    async def _work(self, uid: str, worker: PodWorker) -> None:
        try:
            await worker.run()
        finally:
            self._workers.pop(uid, None)

    async def _dispose_orphan(self, uid: str) -> None:
        """End a pod that was deleted while no node lived."""
        running = [
            file.parent
            for file in self._node.registry.folder(uid).glob("containers/*/*/lock")
            if containers.is_running(file.parent)
        ]
        for folder in running:
            containers.stop(folder, _ORPHAN_GRACE_SECONDS)
        seconds = _ORPHAN_GRACE_SECONDS + 5
        await asyncio.to_thread(containers.wait_stopped, running, seconds)
        self._node.registry.release(uid)
        self._orphans.discard(uid)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
