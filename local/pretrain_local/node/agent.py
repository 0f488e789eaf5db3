"""The node agent: watches the pods bound to the node and gives each one a worker."""

import asyncio
import logging
from collections.abc import Iterable

from pydantic import ValidationError

from pretrain_local.node.api.client import UNREACHABLE, ApiError, Json
from pretrain_local.node.api.pods import Pod
from pretrain_local.node.context import NodeContext
from pretrain_local.node.heartbeat import keep_registered
from pretrain_local.node.logs import LogServer
from pretrain_local.node.runtime import supervision
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
        """Run pods until cancelled; their containers keep running for the next node."""
        server = await LogServer(self._node).start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(keep_registered(self._node))
                group.create_task(self._watch_pods())
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.cleanup()
            await self._node.client.close()

    async def _watch_pods(self) -> None:
        path = f"/api/v1/pods?fieldSelector=spec.nodeName={self._node.name}"
        while True:
            try:
                listing = await self._node.client.request("GET", path)
                self._resync(listing["items"])
                version = listing["metadata"]["resourceVersion"]
                async for event in self._node.client.watch(path, version):
                    if event["type"] == "ERROR":
                        break
                    self._dispatch(event["type"], event["object"])
            except (ApiError, *UNREACHABLE) as error:
                _log.warning("watching pods: %s; retrying", error)
            await asyncio.sleep(_RETRY_SECONDS)

    def _resync(self, items: Iterable[Json]) -> None:
        """Update all pods from a complete list; pods that are not in it are deleted."""
        listed = set()
        for item in items:
            listed.add(item["metadata"]["uid"])
            self._dispatch("MODIFIED", item)
        for uid, worker in self._workers.items():
            if uid not in listed:
                worker.remove()
        for uid in self._node.allocator.on_disk():
            if uid not in listed and uid not in self._workers and uid not in self._orphans:
                self._orphans.add(uid)
                self._track(asyncio.create_task(self._remove_orphan(uid)))

    def _dispatch(self, event_type: str, item: Json) -> None:
        """Pass a watch event to the pod's worker; create the worker if there is none."""
        try:
            pod = Pod.model_validate(item)
        except ValidationError:
            _log.exception("cannot parse pod %s", item.get("metadata", {}).get("name"))
            return
        uid = pod.metadata.uid
        worker = self._workers.get(uid)
        if event_type == "DELETED":
            if worker is not None:
                worker.remove()
        elif worker is not None:
            worker.update(pod)
        else:
            worker = PodWorker(pod, self._node)
            self._workers[uid] = worker
            self._track(asyncio.create_task(self._work(uid, worker)))

    async def _work(self, uid: str, worker: PodWorker) -> None:
        try:
            await worker.run()
        finally:
            self._workers.pop(uid, None)

    async def _remove_orphan(self, uid: str) -> None:
        """Stop and remove a pod that was deleted while no node ran."""
        running = supervision.running_attempts_of(self._node.allocator.folder(uid))
        for folder in running:
            supervision.stop(folder, _ORPHAN_GRACE_SECONDS)
        seconds = _ORPHAN_GRACE_SECONDS + 5
        await asyncio.to_thread(supervision.wait_stopped, running, seconds)
        self._node.allocator.release(uid)
        self._orphans.discard(uid)

    def _track(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
