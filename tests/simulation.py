"""A simulated cluster around `reconcile`: an API server in memory, pods, a clock, one operator.

Nothing waits: time is a variable, and a reconcile is a function call.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from builders import NOW, make_body
from memory_server import MemoryServer
from pretrain_api.digests import digest
from pretrain_api.meta import ATTEMPT_LABEL, STAGE_LABEL
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.pipeline.summary import PipelineSummary
from pretrain_api.v1alpha1.progress import CheckpointStatus, Progress, TrainingSummary
from pretrain_api.v1alpha1.tokendataset import DatasetSummary
from pretrain_api.v1alpha1.tokenizer import TokenizerSummary
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.cluster.resources import OURS
from pretrain_operator.observed.clock import format_time
from pretrain_operator.observed.errors import Refused, Unavailable
from pretrain_operator.observed.objects import Key
from pretrain_operator.reconcile.controller import Controller
from pretrain_operator.reconcile.reconcile import reconcile

Json = dict[str, Any]
Outcome = Callable[[Json, int], ExitReport]
"""How pod `rank` of a Job ends."""

_MAX_ROUNDS = 500
_FAILURES, _BACKOFF = 10, timedelta(seconds=60)
"""Failures of a key in a row, after which it is not tried again for a while."""


class PodSimulator:
    """The Job controller and the kubelet: Jobs get pods, which run, report and end."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self.outcome: Outcome = self.succeed
        self.unschedulable = False
        """Whether no node has room: Jobs stay without pods."""
        self.now: datetime = NOW

    def step(self) -> bool:
        """Start or end the pods of every unfinished Job; return whether there were any."""
        if self.unschedulable:
            return False
        changes = [self._step(job) for job in self.server.list("Job")]
        return any(changes)

    def succeed(self, job: Json, rank: int) -> ExitReport:
        """Return the report of a pod that has completed its task."""
        run = self._document(job)
        stage = job["metadata"]["labels"][STAGE_LABEL]
        if ATTEMPT_LABEL in job["metadata"]["labels"]:
            return ExitReport(
                exit_class=ExitClass.COMPLETE,
                rank=rank,
                training=TrainingSummary(from_step=0, to_step=10, loss=2.0),
                checkpoint=CheckpointStatus(step=10, uri="file:///c/10", at=format_time(NOW)),
            )
        report = ExitReport(exit_class=ExitClass.COMPLETE, rank=rank, seconds=1.0)
        if stage == "list":
            content = digest(run["spec"])
            artifact = ArtifactRef(
                uri=f"{run['spec']['output']['uri']}/{content[:12]}", digest=content
            )
            return report.model_copy(update={"artifact": artifact})
        summaries: dict[str, Json] = {
            "report": {"pipeline": PipelineSummary(read=3, kept=2)},
            "train": {"tokenizer": TokenizerSummary(vocabulary_size=1024, end_of_document=0)},
            "seal": {"dataset": DatasetSummary(sequence_length=128, vocabulary_size=1024)},
        }
        results = {"artifact": ArtifactRef(**run["artifact"])} if run.get("artifact") else {}
        return report.model_copy(update={**results, **summaries.get(stage, {})})

    def _step(self, job: Json) -> bool:
        meta, status = job["metadata"], job.get("status") or {}
        spec = job["spec"]
        if spec.get("suspend") or spec.get("parallelism") == 0 or status.get("conditions"):
            return False
        pods = [p for p in self.server.list("Pod") if _controller(p) == meta["uid"]]
        if not pods:
            for rank in range(spec["completions"]):
                self._start(job, rank)
            self._set_status(job, startTime=format_time(self.now), active=spec["completions"])
            return True
        self._end(job, pods)
        return True

    def _start(self, job: Json, rank: int) -> None:
        meta, template = job["metadata"], job["spec"]["template"]
        name = f"{meta['name']}-{rank}-abcde"
        labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": meta["name"]}
        owner = {"kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        body = {
            "metadata": {
                "name": name,
                "labels": labels,
                "annotations": {"batch.kubernetes.io/job-completion-index": str(rank)},
                "ownerReferences": [owner],
            },
            "spec": {"nodeName": "node-1"},
            "status": {"phase": "Running", "podIP": "10.0.0.1"},
        }
        self.server.put("Pod", body)
        if ATTEMPT_LABEL in meta["labels"] and rank == 0:
            progress = Progress(step=5, attempt=int(meta["labels"][ATTEMPT_LABEL]), total_steps=10)
            self.server.progress[name] = progress.model_dump_json(by_alias=True).encode()

    def _end(self, job: Json, pods: list[Json]) -> None:
        reports = [self.outcome(job, rank) for rank in range(len(pods))]
        for pod, report in zip(pods, reports, strict=True):
            self.server.progress.pop(pod["metadata"]["name"], None)
            code = report.exit_class.exit_code
            terminated = {
                "exitCode": code,
                "reason": "Completed" if code == 0 else "Error",
                "message": report.model_dump_json(by_alias=True, exclude_none=True),
                "finishedAt": format_time(self.now),
            }
            phase = "Succeeded" if code == 0 else "Failed"
            state = {"name": "main", "state": {"terminated": terminated}}
            self.server.put(
                "Pod", {**pod, "status": {"phase": phase, "containerStatuses": [state]}}
            )
        failed = any(report.exit_class.exit_code for report in reports)
        kind = "Failed" if failed else "Complete"
        at = format_time(self.now)
        condition = {"type": kind, "status": "True", "lastTransitionTime": at}
        succeeded = sum(report.exit_class.exit_code == 0 for report in reports)
        self._set_status(job, conditions=[condition], succeeded=succeeded, active=0)

    def _set_status(self, job: Json, **fields: Any) -> None:
        status = {**(job.get("status") or {}), **fields}
        self.server.put("Job", {**job, "status": status})

    def _document(self, job: Json) -> Json:
        (volume,) = (v for v in job["spec"]["template"]["spec"]["volumes"] if "configMap" in v)
        config_map = self.server.get("ConfigMap", volume["configMap"]["name"])
        assert config_map is not None, "a pod does not start without its ConfigMap"
        document: Json = json.loads(config_map["data"]["spec.json"])
        return document


class Simulation:
    """A server, its pods, and one operator at a time."""

    def __init__(self, server: MemoryServer | None = None) -> None:
        self.server = server or MemoryServer()
        self.pods = PodSimulator(self.server)
        self.now: datetime = NOW
        self.due: dict[Key, datetime] = {}
        """When requeued objects are due."""
        self.controller: Controller | None = None

    def apply(self, kind: str, name: str, **fields: Any) -> None:
        """Create an object as a user would."""
        body = make_body(kind, name, **fields)
        for field in ("uid", "generation", "resourceVersion"):
            body["metadata"].pop(field)
        self.server.put(kind, body)

    def edit(self, kind: str, name: str, **spec: Any) -> None:
        """Change fields of a spec as a user would."""
        body = self.object(kind, name)
        self.server.put(kind, {**body, "spec": {**body["spec"], **spec}})

    def object(self, kind: str, name: str) -> Json:
        """Return an object as it is now."""
        body = self.server.get(kind, name)
        assert body is not None, f"there is no {kind} {name}"
        return body

    def condition(self, kind: str, name: str, condition: str) -> Json:
        """Return a condition of an object."""
        conditions = self.object(kind, name)["status"]["conditions"]
        (match,) = (item for item in conditions if item["type"] == condition)
        return dict(match)

    async def start_operator(self) -> Controller:
        """Start an operator with an empty store, and list all objects; the previous one ends."""
        api = Api(self.server)
        controller = Controller(api, ProgressReader(api, via_api_server=True), None)

        def watch(kind: str, body: Json, deleted: bool) -> None:
            if kind in OURS or kind in ("Job", "Pod"):
                controller.cluster.store.observe(kind, body, deleted)

        self.server.watchers, self.due = [watch], {}
        self.controller = controller
        while True:
            try:
                await controller.resync()
            except (Refused, Unavailable):
                continue
            break
        return controller

    async def reconcile(self, kind: str, name: str) -> float | None:
        """Reconcile one object once; return the seconds after which it is requeued, if any."""
        controller = self.controller or await self.start_operator()
        namespace = "default" if OURS[kind].namespaced else ""
        return await reconcile(controller.cluster, Key(kind, namespace, name), self.now)

    async def settle(self) -> None:
        """Reconcile what the controller has queued until its queue is empty."""
        controller = self.controller or await self.start_operator()
        failures: Counter[Key] = Counter()
        for _ in range(_MAX_ROUNDS):
            if not len(controller.queue):
                return
            key = await controller.queue.get()
            self.due.pop(key, None)
            try:
                delay = await reconcile(controller.cluster, key, self.now)
            except (Refused, Unavailable):
                failures[key] += 1
                if failures[key] < _FAILURES:
                    controller.queue.add(key)  # as the controller does, but without backoff
                else:
                    self.due[key] = self.now + _BACKOFF
            else:
                if delay is not None:
                    self.due[key] = self.now + timedelta(seconds=delay)
            controller.queue.done(key)
        raise AssertionError("the queue never gets empty")

    async def run(self) -> None:
        """Run operator and pods until nothing is left to do, or pods cannot be scheduled."""
        for _ in range(_MAX_ROUNDS):
            await self.settle()
            if self.pods.step():
                continue
            if self.pods.unschedulable or not self.due:
                return
            self.pass_time((min(self.due.values()) - self.now).total_seconds())
        raise AssertionError("the simulation never ends")

    def pass_time(self, seconds: float) -> None:
        """Advance the clock, and enqueue the objects that are due then."""
        self.now += timedelta(seconds=seconds)
        self.pods.now = self.now
        assert self.controller is not None
        for key, at in self.due.items():
            if at <= self.now:
                self.controller.queue.add(key)


def _controller(body: Json) -> str:
    owners = body["metadata"].get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")
