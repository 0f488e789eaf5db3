"""One pod: brings what runs to what the API server wants, and tells it what runs."""

import asyncio
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from pretrain_local.atomic_files import write_atomically
from pretrain_local.node import status
from pretrain_local.node.allocations import Placement
from pretrain_local.node.api.client import STRATEGIC, UNREACHABLE, ApiError
from pretrain_local.node.api.pod_inputs import NotReady
from pretrain_local.node.api.pods import Container, Pod
from pretrain_local.node.context import NodeContext
from pretrain_local.node.lifecycle import plan_steps
from pretrain_local.node.runtime import attempts as containers
from pretrain_local.node.runtime.termination import termination_message
from pretrain_local.node.starter import start_container

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.3
_LOOK_SECONDS = 5.0
"""A second look at what runs, should the kernel's word of an exit have been missed."""
_LOST = "the node has no record of this container, so no one saw how it ended"


class PodWorker:
    """The life of one pod on the node."""

    def __init__(self, pod: Pod, node: NodeContext) -> None:
        self._pod = pod
        self._node = node
        self._folder = node.registry.folder(pod.metadata.uid)
        self._wake = asyncio.Event()
        self._is_gone = False
        self._waiting: dict[str, status.Waiting] = {}
        self._ended: status.Ended | None = None
        self._asked_to_stop: dict[Path, float] = {}
        self._watched: dict[Path, int] = {}
        self._reported: status.Json | None = None

    def update(self, pod: Pod) -> None:
        """Take in what the API server says now, unless that is older than its last answer."""
        if pod.metadata.resource_version < self._pod.metadata.resource_version:
            return
        self._pod = pod
        self._wake.set()

    def remove(self) -> None:
        """Take in that the API server no longer has the pod."""
        self._is_gone = True
        self._wake.set()

    async def run(self) -> None:
        """Work until the pod is gone."""
        while True:
            self._wake.clear()
            try:
                delay = await self._step()
            except (ApiError, *UNREACHABLE) as error:
                _log.warning("%s: %s; trying again", self._pod.key, error)
                delay = _RETRY_SECONDS
            except Exception:
                # One pod's surprise must not end the node, which others depend on.
                _log.exception("%s: unexpected", self._pod.key)
                delay = _LOOK_SECONDS
            if delay is None:
                return
            try:
                await asyncio.wait_for(self._wake.wait(), delay)
            except TimeoutError:
                pass

    async def _step(self) -> float | None:
        """Bring the pod one step on; return the seconds until the next look, None at its end."""
        attempts = await self._observe()
        running = [a for a in attempts.values() if a is not None and a.exit is None]
        if self._is_gone:
            return self._dispose(running)
        if self._pod.is_finished and not running:
            return await self._delete_if_asked(None)
        placement = self._place()
        now = datetime.now(UTC)
        delay = self._stop_if_due(placement, running, now)
        if self._ended is None:
            delay = await self._start_due(placement, await self._observe(), now)
        observed = await self._describe(placement)
        await self._report(observed)
        running = [a for a in observed.attempts.values() if a is not None and a.exit is None]
        if self._ended is not None and not running:
            return await self._delete_if_asked(observed)
        return delay

    async def _observe(self) -> dict[str, containers.Attempt | None]:
        for container in self._containers():
            if containers.has_vanished(self._folder, container.name):
                # Ends what is left, which may take seconds: other pods go on meanwhile.
                await asyncio.to_thread(containers.observe, self._folder, container.name)
        found = {c.name: containers.observe(self._folder, c.name) for c in self._containers()}
        for attempt in found.values():
            if attempt is not None and attempt.exit is None:
                self._wake_at_exit(attempt.folder)
        return found

    def _containers(self) -> list[Container]:
        return [*self._pod.spec.init_containers, *self._pod.spec.containers]

    def _wake_at_exit(self, folder: Path) -> None:
        """Have the kernel wake this worker when the attempt's supervisor ends."""
        if folder in self._watched or (pid := containers.supervisor_pid(folder)) is None:
            return
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            self._watched.pop(folder, None)
            self._wake.set()

        self._watched[folder] = descriptor
        loop.add_reader(descriptor, ended)

    def _place(self) -> Placement:
        is_new = self._node.registry.find(self._pod.metadata.uid) is None
        placement = self._node.registry.place(self._pod, datetime.now(UTC))
        if is_new:
            self._write_off_lost(placement)
        return placement

    def _write_off_lost(self, placement: Placement) -> None:
        """Never run again what the API server says has run, though no trace of it is left."""
        statuses = [
            *self._pod.status.get("initContainerStatuses", ()),
            *self._pod.status.get("containerStatuses", ()),
        ]
        for known in statuses:
            if known.get("containerID"):
                number = int(known.get("restartCount", 0))
                folder = containers.attempt_folder(self._folder, known["name"], number)
                folder.mkdir(parents=True)
                containers.write_lost(folder, placement.start_time, _LOST)
                write_atomically(folder / "launch.json", "{}")

    def _stop_if_due(
        self, placement: Placement, running: list[containers.Attempt], now: datetime
    ) -> float:
        """Stop what runs if the pod shall end; return the seconds until that may change."""
        metadata, spec = self._pod.metadata, self._pod.spec
        grace = float(spec.termination_grace_period_seconds)
        delay = _LOOK_SECONDS
        if metadata.deletion_timestamp is not None:
            if metadata.deletion_grace_period_seconds is not None:
                grace = float(metadata.deletion_grace_period_seconds)
            self._ended = self._ended or status.Ended()
        elif self._pod.is_finished:
            self._ended = status.Ended()
        elif spec.active_deadline_seconds is not None:
            age = (now - placement.start_time).total_seconds()
            remaining = spec.active_deadline_seconds - age
            if remaining <= 0:
                message = "Pod was active on the node longer than the specified deadline"
                self._ended = status.Ended("DeadlineExceeded", message)
            delay = max(min(delay, remaining), 0.0)
        if self._ended is not None:
            for attempt in running:
                self._ask_to_stop(attempt.folder, grace)
        return delay

    def _ask_to_stop(self, folder: Path, grace: float) -> None:
        if self._asked_to_stop.get(folder, float("inf")) > grace:
            if containers.stop(folder, grace):
                self._asked_to_stop[folder] = grace

    async def _start_due(
        self,
        placement: Placement,
        attempts: dict[str, containers.Attempt | None],
        now: datetime,
    ) -> float:
        """Start what shall run; return the seconds until more may start."""
        steps = plan_steps(self._pod, attempts, now)
        delay = min([_LOOK_SECONDS, *steps.back_offs.values()])
        self._waiting = {
            name: status.back_off(name, self._pod, seconds)
            for name, seconds in steps.back_offs.items()
        }
        for start in steps.starts:
            try:
                await start_container(start, self._pod, placement, self._node)
            except NotReady as problem:
                waiting = status.Waiting(problem.reason, str(problem))
                self._waiting[start.container.name] = waiting
                delay = min(delay, _RETRY_SECONDS)
        return delay

    async def _describe(self, placement: Placement) -> status.Observed:
        attempts = await self._observe()
        messages, previous = {}, {}
        for container in self._containers():
            attempt = attempts[container.name]
            if attempt is None:
                continue
            if attempt.exit is not None:
                messages[container.name] = termination_message(container, attempt)
            numbers = containers.attempt_numbers(self._folder, container.name)
            if len(numbers) > 1:
                folder = containers.attempt_folder(self._folder, container.name, numbers[-2])
                previous[container.name] = containers.read_attempt(folder)
        return status.Observed(
            pod_ip=placement.address,
            host_ip=self._node.host_ip,
            start_time=placement.start_time,
            attempts=attempts,
            previous=previous,
            messages=messages,
            waiting=self._waiting,
            ended=self._ended,
        )

    async def _report(self, observed: status.Observed) -> None:
        """Tell the API server what runs, if it does not know."""
        wanted = status.build_status(self._pod, observed, datetime.now(UTC))
        if wanted == self._reported:
            return
        metadata = self._pod.metadata
        body = {"metadata": {"uid": metadata.uid}, "status": wanted}
        path = f"/api/v1/namespaces/{metadata.namespace}/pods/{metadata.name}"
        answer = await self._node.client.request("PATCH", f"{path}/status", body, STRATEGIC)
        self._reported = wanted
        # Its conditions carry the times that the next status must keep.
        self._pod = Pod.model_validate(answer)
        if self._pod.is_finished:
            self._wake.set()

    async def _delete_if_asked(self, observed: status.Observed | None) -> float:
        """Let the API server forget a pod of which nothing runs."""
        metadata = self._pod.metadata
        if metadata.deletion_timestamp is not None:
            path = f"/api/v1/namespaces/{metadata.namespace}/pods/{metadata.name}"
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata.uid}}
            try:
                await self._node.client.request("DELETE", path, body)
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
        return _LOOK_SECONDS

    def _dispose(self, running: list[containers.Attempt]) -> float | None:
        """End and forget a pod that the API server no longer has."""
        if running:
            for attempt in running:
                self._ask_to_stop(attempt.folder, 0.0)
            return _RETRY_SECONDS
        self._node.registry.release(self._pod.metadata.uid)
        return None
