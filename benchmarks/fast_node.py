"""A node without containers: its pods run for a moment and report success, or run on."""

import queue
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernetes import client, watch

from chaos.standin_node import StandInNode, container_status, running_status
from cluster import RunningCluster
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.v1alpha1.progress import TrainingSummary
from pretrain_operator.observed.clock import format_time

_NAME, _THREADS, _PODS = "fast", 4, 100_000


class FastNode(StandInNode):
    """The node; its pods end `seconds` after they have started, or never if that is `None`."""

    def __init__(self, cluster: RunningCluster, api: client.CoreV1Api, steps: int) -> None:
        super().__init__(cluster, _NAME)
        self._api, self._steps = api, steps
        self.seconds: float | None = 0.0
        self._due: queue.Queue[tuple[str, str, bool]] = queue.Queue()

    def start(self) -> None:
        """Register the node, and run the pods that it gets until the program ends."""
        self.register(pods=_PODS)
        for target in (self._watch, *[self._work] * _THREADS):
            threading.Thread(target=target, daemon=True).start()

    def _watch(self) -> None:
        seen: set[str] = set()
        for event in watch.Watch().stream(
            self._api.list_pod_for_all_namespaces, field_selector=f"spec.nodeName={_NAME}"
        ):
            pod = event["object"]
            name, namespace = pod.metadata.name, pod.metadata.namespace
            if pod.metadata.deletion_timestamp is not None:
                options = client.V1DeleteOptions(grace_period_seconds=0)
                _send(self._api.delete_namespaced_pod, name, namespace, body=options)
            elif pod.metadata.uid not in seen:
                seen.add(pod.metadata.uid)
                self._due.put((namespace, name, False))

    def _work(self) -> None:
        while True:
            namespace, name, ends = self._due.get()
            status = self._ended() if ends else running_status()
            _send(self._api.patch_namespaced_pod_status, name, namespace, {"status": status})
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
        now = datetime.now(UTC)
        terminated = {
            "exitCode": 0,
            "reason": "Completed",
            "message": report.model_dump_json(by_alias=True, exclude_none=True),
            "startedAt": format_time(now - timedelta(seconds=self.seconds or 0)),
            "finishedAt": format_time(now),
        }
        container = container_status({"terminated": terminated})
        return {"phase": "Succeeded", "containerStatuses": [container]}


def _send(request: Any, *arguments: Any, **options: Any) -> None:
    """Send a request about a pod that may be gone."""
    try:
        request(*arguments, **options)
    except client.ApiException as error:
        if error.status not in (404, 409):
            raise
