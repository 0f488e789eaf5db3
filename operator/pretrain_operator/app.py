"""The operator's process: `kopf run -m pretrain_operator.app --all-namespaces`.

Kopf runs the process, from its start to its shutdown; the controller does what is in between. It
has watches of its own: Kopf's copy each object, for handlers that compare versions.
"""

import asyncio
import logging
import os
import socket
from contextlib import AsyncExitStack
from typing import Any

import kopf
from kubernetes.aio.config import ConfigException

from pretrain_operator.cluster.api import open_api
from pretrain_operator.cluster.leadership import Leadership
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.reconcile.controller import Controller
from pretrain_operator.reconcile.probes import serve_probes
from pretrain_operator.settings import read_settings


class _Process:
    """The controller and its connections, which live as long as the process."""

    def __init__(self) -> None:
        self.resources = AsyncExitStack()
        self.task: asyncio.Task[None] | None = None
        self.leadership: Leadership | None = None

    async def start(self) -> None:
        settings = read_settings(os.environ)
        api = await self.resources.enter_async_context(open_api())
        progress = ProgressReader(api, settings.progress_via == "apiserver")
        self.resources.push_async_callback(progress.close)
        if settings.lease is not None:
            namespace, name = settings.lease.split("/")
            identity = settings.identity or f"{socket.gethostname()}-{os.getpid()}"
            self.leadership = Leadership(api, namespace, name, identity)
        controller = Controller(api, progress, settings.namespace, self.leadership)
        if settings.probe_port is not None:
            probes = serve_probes(
                controller.health,
                settings.probe_port,
                settings.probe_address,
                controller.update_metrics,
            )
            await self.resources.enter_async_context(probes)
        self.task = asyncio.create_task(
            controller.run(settings.workers, settings.resync_seconds), name="controller"
        )
        self.task.add_done_callback(_end_process)

    async def stop(self) -> None:
        if self.task is not None:
            self.task.remove_done_callback(_end_process)
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        if self.leadership is not None:
            await self.leadership.release()
        await self.resources.aclose()


def _end_process(task: asyncio.Task[None]) -> None:
    """End the process when the controller has ended: Kubernetes restarts the pod."""
    error = None if task.cancelled() else task.exception()
    raise SystemExit(f"the controller ended: {error!r}")


_process = _Process()


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Configure Kopf, and start the controller."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = 25
    settings.peering.standalone = True
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # probes
    try:
        await _process.start()
    except (ConfigException, ValueError) as error:
        # Neither heals by itself: kopf would try again for ever.
        raise kopf.PermanentError(f"cannot start: {error}") from None


@kopf.on.cleanup()
async def clean_up(**_: Any) -> None:
    """Stop the controller; the next process repeats the reconciles that were interrupted."""
    await _process.stop()
