"""A node without containers: its pods run for a moment and report success, or run on."""

import queue
import threading
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from kubernetes import client, watch

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.v1alpha1.progress import TrainingSummary
from pretrain_operator.observed.clock import format_time

NAME = "fast"
_RENEW_SECONDS, _THREADS, _ADDRESS = 5.0, 4, "127.0.0.1"


class FastNode:
    """The node; its pods end `seconds` after they have started, or never if that is `None`."""

    def __init__(self, api: client.ApiClient, steps: int) -> None:
        self._core, self._leases = client.CoreV1Api(api), client.CoordinationV1Api(api)
        self._steps = steps
        self.seconds: float | None = 0.0
        self._stopped = threading.Event()
        self._due: queue.Queue[tuple[str, str, bool]] = queue.Queue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_THREADS)]
        self._threads += [
            threading.Thread(target=target, daemon=True) for target in (self._watch, self._beat)
        ]

    def __enter__(self) -> Self:
        """Register the node and start its agent."""
        self._core.create_node({"metadata": {"name": NAME}})
        capacity = {"cpu": "100k", "memory": "1000Ti", "pods": "100k"}
        ready = {"type": "Ready", "status": "True", "reason": "Fast"}
        status = {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}
        self._core.patch_node_status(NAME, {"status": status})
        spec = {"holderIdentity": NAME, "leaseDurationSeconds": 40, "renewTime": _now()}
        self._leases.create_namespaced_lease(
            "kube-node-lease", {"metadata": {"name": NAME}, "spec": spec}
        )
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Answer no more."""
        self._stopped.set()

    def _beat(self) -> None:
        while not self._stopped.wait(_RENEW_SECONDS):
            self._leases.patch_namespaced_lease(
                NAME, "kube-node-lease", {"spec": {"renewTime": _now()}}
            )

    def _watch(self) -> None:
        seen: set[str] = set()
        for event in watch.Watch().stream(
            self._core.list_pod_for_all_namespaces, field_selector=f"spec.nodeName={NAME}"
        ):
            if self._stopped.is_set():
                return
            pod = event["object"]
            name, namespace = pod.metadata.name, pod.metadata.namespace
            if pod.metadata.deletion_timestamp is not None:
                options = client.V1DeleteOptions(grace_period_seconds=0)
                self._quietly(self._core.delete_namespaced_pod, name, namespace, body=options)
            elif pod.metadata.uid not in seen:
                seen.add(pod.metadata.uid)
                self._due.put((namespace, name, False))

    def _work(self) -> None:
        while not self._stopped.is_set():
            namespace, name, ends = self._due.get()
            status = self._ended() if ends else _running()
            self._quietly(
                self._core.patch_namespaced_pod_status, name, namespace, {"status": status}
            )
            if not ends and self.seconds is not None:
                later = threading.Timer(self.seconds, self._due.put, [(namespace, name, True)])
                later.daemon = True
                later.start()

    def _ended(self) -> dict[str, Any]:
        report = ExitReport(
            exit_class=ExitClass.COMPLETE,
            rank=0,
            training=TrainingSummary(from_step=0, to_step=self._steps, loss=2.0),
        )
        terminated = {
            "exitCode": 0,
            "reason": "Completed",
            "message": report.model_dump_json(by_alias=True, exclude_none=True),
            "startedAt": format_time(datetime.now(UTC) - timedelta(seconds=self.seconds or 0)),
            "finishedAt": format_time(datetime.now(UTC)),
        }
        return {"phase": "Succeeded", "containerStatuses": [_container({"terminated": terminated})]}

    def _quietly(self, request: Any, *arguments: Any, **options: Any) -> None:
        """Send a request about a pod that may be gone."""
        try:
            request(*arguments, **options)
        except client.ApiException as error:
            if error.status not in (404, 409):
                raise


def _running() -> dict[str, Any]:
    at = format_time(datetime.now(UTC))
    return {
        "phase": "Running",
        "podIP": _ADDRESS,
        "podIPs": [{"ip": _ADDRESS}],
        "startTime": at,
        "conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")],
        "containerStatuses": [_container({"running": {"startedAt": at}})],
    }


def _container(state: dict[str, Any]) -> dict[str, Any]:
    is_running = "running" in state
    base = {"name": "main", "image": "", "imageID": "", "restartCount": 0}
    return {**base, "ready": is_running, "state": state}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
