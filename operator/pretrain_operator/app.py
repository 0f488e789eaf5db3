"""The operator's process: `kopf run -m pretrain_operator.app --all-namespaces`.

Kopf runs the watches and the shutdown; `reconcile` does everything in between.
"""

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from typing import Any

import kopf

from pretrain_api.kinds import KINDS
from pretrain_api.meta import GROUP, KIND_LABEL, VERSION
from pretrain_operator.cluster.api import open_api
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.reconcile.controller import Controller
from pretrain_operator.settings import read_settings


class _Process:
    """The controller and its connections, which live as long as the process."""

    def __init__(self) -> None:
        self.resources = AsyncExitStack()
        self.controller: Controller | None = None
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        settings = read_settings(os.environ)
        api = await self.resources.enter_async_context(open_api())
        progress = ProgressReader(api, settings.progress_via == "apiserver")
        self.resources.push_async_callback(progress.close)
        self.controller = Controller(api, progress, settings.namespace)
        self.task = asyncio.create_task(
            self.controller.run(settings.workers, settings.resync_seconds), name="controller"
        )
        self.task.add_done_callback(_end_process)

    async def stop(self) -> None:
        if self.task is not None:
            self.task.remove_done_callback(_end_process)
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.resources.aclose()


def _end_process(task: asyncio.Task[None]) -> None:
    """End the process when the controller has ended: Kubernetes restarts the pod."""
    error = None if task.cancelled() else task.exception()
    raise SystemExit(f"the controller ended: {error!r}")


_process = _Process()


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Configure Kopf, and start the controller."""
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 30
    settings.watching.reconnect_backoff = 1.0
    settings.watching.inactivity_timeout = 70  # bookmarks come every minute
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = [1, 2, 4, 8, 15, 30]
    # An idle worker keeps its slot: with a limit, objects would wait although no worker is busy.
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 0.2
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = 25
    settings.peering.standalone = True
    # A line for each event of each pod is noise; the operator logs its own decisions.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # probes
    await _process.start()


@kopf.on.cleanup()
async def clean_up(**_: Any) -> None:
    """Stop the controller; the next process repeats the reconciles that were interrupted."""
    await _process.stop()


def _observe(kind: str, event: Any) -> None:
    if _process.controller is not None:
        _process.controller.observe(kind, event["object"], event["type"] == "DELETED")


async def _on_object(event: Any, body: kopf.Body, **_: Any) -> None:
    _observe(body["kind"], event)


for _kind in KINDS:
    kopf.on.event(GROUP, VERSION, _kind.plural)(_on_object)


@kopf.on.event("batch", "v1", "jobs", labels={KIND_LABEL: kopf.PRESENT})
async def on_job(event: Any, **_: Any) -> None:
    """Store a change of one of our Jobs."""
    _observe("Job", event)


@kopf.on.event("", "v1", "pods", labels={KIND_LABEL: kopf.PRESENT})
async def on_pod(event: Any, **_: Any) -> None:
    """Store a change of one of our pods."""
    _observe("Pod", event)
