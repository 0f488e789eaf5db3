"""Reconciles one pod: runs its containers as its spec says, and reports their status."""

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

from pretrain_local.atomic_files import write_atomically
from pretrain_local.node.allocations import PodAllocation
from pretrain_local.node.api.client import STRATEGIC, UNREACHABLE, ApiError, Json
from pretrain_local.node.api.pod_inputs import NotReady
from pretrain_local.node.api.pods import Pod
from pretrain_local.node.context import NodeContext
from pretrain_local.node.lifecycle import (
    PodTermination,
    plan_starts,
    plan_termination,
    seconds_to_deadline,
)
from pretrain_local.node.observer import PodObserver
from pretrain_local.node.runtime import attempts, supervision
from pretrain_local.node.runtime.attempts import ObservedAttempts
from pretrain_local.node.starter import start_container
from pretrain_local.node.status import (
    RuntimeStatus,
    WaitingState,
    build_status,
    crash_loop_backoff,
)

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.3
_RESYNC_SECONDS = 5.0
"""Longest time between two reconciles, in case an event is missed."""
_LOST = "the node has no record of this container; its exit code is unknown"


class PodWorker:
    """Reconciles one pod until it is deleted."""

    def __init__(self, pod: Pod, node: NodeContext) -> None:
        self._pod = pod
        self._node = node
        self._folder = node.allocator.folder(pod.metadata.uid)
        self._wake = asyncio.Event()
        self._observer = PodObserver(self._folder, self._wake.set)
        self._is_deleted = False
        self._waiting: dict[str, WaitingState] = {}
        self._termination: PodTermination | None = None
        self._stop_grace_seconds: dict[Path, float] = {}
        self._reported: Json | None = None

    def update(self, pod: Pod) -> None:
        """Reconcile a new version of the pod; ignore one that is older than the last response."""
        if pod.metadata.resource_version < self._pod.metadata.resource_version:
            return
        self._pod = pod
        self._wake.set()

    def remove(self) -> None:
        """Stop and clean up: the API server no longer has the pod."""
        self._is_deleted = True
        self._wake.set()

    async def run(self) -> None:
        """Reconcile until the pod is deleted and its containers have ended."""
        while True:
            self._wake.clear()
            try:
                requeue_after_seconds = await self._reconcile()
            except (ApiError, *UNREACHABLE) as error:
                _log.warning("%s: %s; retrying", self._pod.key, error)
                requeue_after_seconds = _RETRY_SECONDS
            except Exception:
                # A bug that one pod triggers must not end the node, which runs others too.
                _log.exception("%s: unexpected error", self._pod.key)
                requeue_after_seconds = _RESYNC_SECONDS
            if requeue_after_seconds is None:
                return
            try:
                await asyncio.wait_for(self._wake.wait(), requeue_after_seconds)
            except TimeoutError:
                pass

    async def _reconcile(self) -> float | None:
        """Reconcile once; return the seconds until the next time, or None when all is done."""
        observed = await self._observer.observe(self._pod)
        if self._is_deleted:
            return self._clean_up(observed)
        if self._pod.is_finished and not observed.running:
            return await self._confirm_deletion()
        allocation = self._allocate()
        now = datetime.now(UTC)
        requeue_after_seconds = self._stop_if_due(allocation, observed, now)
        if self._termination is None:
            requeue_after_seconds = min(
                requeue_after_seconds, await self._start_due(allocation, now)
            )
        observed = await self._observer.observe(self._pod)
        await self._report(allocation, observed)
        if self._termination is not None and not observed.running:
            return await self._confirm_deletion()
        return requeue_after_seconds

    def _allocate(self) -> PodAllocation:
        is_new = self._node.allocator.find(self._pod.metadata.uid) is None
        allocation = self._node.allocator.allocate(self._pod, datetime.now(UTC))
        if is_new:
            self._write_lost_attempts(allocation)
        return allocation

    def _write_lost_attempts(self, allocation: PodAllocation) -> None:
        """Store as ended the attempts in the pod's status that have no folder on disk.

        Otherwise a container that has run before would be started as if it were new.
        """
        statuses = [
            *self._pod.status.get("initContainerStatuses", ()),
            *self._pod.status.get("containerStatuses", ()),
        ]
        for status in statuses:
            if status.get("containerID"):
                number = int(status.get("restartCount", 0))
                folder = attempts.attempt_folder(self._folder, status["name"], number)
                folder.mkdir(parents=True)
                attempts.write_lost(folder, allocation.start_time, _LOST)
                write_atomically(folder / "launch.json", "{}")

    def _stop_if_due(
        self, allocation: PodAllocation, observed: ObservedAttempts, now: datetime
    ) -> float:
        """Stop the containers if the pod must end; return the seconds until it may have to."""
        metadata, spec = self._pod.metadata, self._pod.spec
        planned = plan_termination(self._pod, allocation.start_time, now)
        self._termination = self._termination or planned
        if self._termination is not None:
            grace = float(spec.termination_grace_period_seconds)
            if metadata.deletion_timestamp and metadata.deletion_grace_period_seconds is not None:
                grace = float(metadata.deletion_grace_period_seconds)
            for attempt in observed.running:
                self._stop(attempt.folder, grace)
            return _RESYNC_SECONDS
        remaining = seconds_to_deadline(self._pod, allocation.start_time, now)
        return _RESYNC_SECONDS if remaining is None else min(_RESYNC_SECONDS, remaining)

    def _stop(self, folder: Path, grace_seconds: float) -> None:
        if self._stop_grace_seconds.get(folder, float("inf")) > grace_seconds:
            if supervision.stop(folder, grace_seconds):
                self._stop_grace_seconds[folder] = grace_seconds

    async def _start_due(self, allocation: PodAllocation, now: datetime) -> float:
        """Start the containers that are due; return the seconds until more may start."""
        observed = await self._observer.observe(self._pod)
        plan = plan_starts(self._pod, observed.latest, now)
        requeue_after_seconds = min([_RESYNC_SECONDS, *plan.backoffs.values()])
        self._waiting = {
            name: crash_loop_backoff(name, self._pod, seconds)
            for name, seconds in plan.backoffs.items()
        }
        for start in plan.starts:
            try:
                await start_container(start, self._pod, allocation, self._node)
            except NotReady as error:
                self._waiting[start.container.name] = WaitingState(error.reason, str(error))
                requeue_after_seconds = min(requeue_after_seconds, _RETRY_SECONDS)
        return requeue_after_seconds

    async def _report(self, allocation: PodAllocation, observed: ObservedAttempts) -> None:
        """Write the pod's status to the API server, if it has changed."""
        runtime_status = RuntimeStatus(
            pod_ip=allocation.address,
            host_ip=self._node.host_ip,
            start_time=allocation.start_time,
            attempts=observed,
            waiting=self._waiting,
            termination=self._termination,
        )
        status = build_status(self._pod, runtime_status, datetime.now(UTC))
        if status == self._reported:
            return
        body = {"metadata": {"uid": self._pod.metadata.uid}, "status": status}
        path = f"{self._pod.path}/status"
        response = await self._node.client.request("PATCH", path, body, STRATEGIC)
        self._reported = status
        # The next status needs the transition times of these conditions.
        self._pod = Pod.model_validate(response)
        if self._pod.is_finished:
            self._wake.set()

    async def _confirm_deletion(self) -> float:
        """Let the API server remove the pod, if it is being deleted and nothing of it runs."""
        metadata = self._pod.metadata
        if metadata.deletion_timestamp is not None:
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata.uid}}
            try:
                await self._node.client.request("DELETE", self._pod.path, body)
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
        return _RESYNC_SECONDS

    def _clean_up(self, observed: ObservedAttempts) -> float | None:
        """Stop what runs of a pod that the API server no longer has, then remove its files."""
        if observed.running:
            for attempt in observed.running:
                self._stop(attempt.folder, 0.0)
            return _RETRY_SECONDS
        self._node.allocator.release(self._pod.metadata.uid)
        return None
