"""What the operator does to objects of others: nothing, whatever their names and annotations."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from kubernetes.aio.client.rest import ApiException

from builders import NOW, at, make_body
from memory_server import MemoryServer
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, PretrainJobStatus
from pretrain_operator.build.metadata import build_metadata
from pretrain_operator.build.service import build_service
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.cluster import Cluster
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.annotations import CONFIG_MAP_ANNOTATION
from pretrain_operator.observed.errors import DependencyNotReady, NameConflict, Refused, Unavailable
from pretrain_operator.observed.objects import ObservedObject, parse_object

Json = dict[str, Any]
Steps = Callable[[Cluster, MemoryServer, ObservedObject], Awaitable[None]]

STATUS = PretrainJobStatus(phase="Running", message="attempt 1")


def with_run(steps: Steps) -> None:
    """Run steps in a cluster that has one run."""

    async def run() -> None:
        server = MemoryServer()
        api = Api(server)
        cluster = Cluster(api, Store(lambda key, _: None), ProgressReader(api, True))
        body = make_body("PretrainJob", "run")
        owner = parse_object("PretrainJob", server.put("PretrainJob", body))
        await steps(cluster, server, owner)

    asyncio.run(run())


def child(owner: ObservedObject, kind: str, name: str, **fields: Any) -> Json:
    annotations = fields.pop("annotations", None)
    metadata = build_metadata(owner, name, annotations=annotations)
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


def stranger(owner: ObservedObject) -> ObservedObject:
    """Return an earlier object with the name of `owner`."""
    return replace(owner, uid="another")


@pytest.mark.parametrize("kind", ["Job", "ConfigMap", "Service"])
@pytest.mark.parametrize("is_controlled", [True, False])
def test_a_child_whose_name_is_taken_by_an_object_of_others_is_a_conflict(
    kind: str, is_controlled: bool
) -> None:
    async def steps(cluster: Cluster, server: MemoryServer, owner: ObservedObject) -> None:
        theirs = child(stranger(owner), kind, "x", data={"by": "others"})
        if not is_controlled:
            theirs["metadata"].pop("ownerReferences")
        before = server.put(kind, theirs)
        with pytest.raises(NameConflict, match=f"{kind} x belongs to another object"):
            await cluster.apply(owner, child(owner, kind, "x", data={"by": "us"}))
        assert server.get(kind, "x") == before
        assert cluster.store.job("default", "x") is None

    with_run(steps)


def test_a_child_that_exists_is_adopted_after_a_crash_and_only_a_service_is_updated() -> None:
    async def steps(cluster: Cluster, server: MemoryServer, owner: ObservedObject) -> None:
        service = build_service(owner)
        name = service["metadata"]["name"]
        for manifest in (
            {**service, "spec": {"clusterIP": "None"}},
            child(owner, "ConfigMap", "x", data={"version": "1"}),
            child(owner, "Job", "x", spec={"parallelism": 1}),
        ):
            server.put(manifest["kind"], manifest)
        await cluster.apply(
            owner,
            service,
            child(owner, "ConfigMap", "x", data={"version": "2"}),
            child(owner, "Job", "x", spec={"parallelism": 9}),
        )
        assert (server.get("Service", name) or {})["spec"] == service["spec"]
        assert (server.get("ConfigMap", "x") or {})["data"] == {"version": "1"}
        assert (server.get("Job", "x") or {})["spec"] == {"parallelism": 1}
        assert [job.name for job in cluster.store.jobs(owner)] == ["x"]

    with_run(steps)


def test_children_after_one_that_is_refused_are_not_created() -> None:
    async def steps(cluster: Cluster, server: MemoryServer, owner: ObservedObject) -> None:
        server.refuse = lambda method, path: (
            ApiException(status=403, reason="quota")
            if method == "post" and "config" in path
            else None
        )
        with pytest.raises(Refused, match="quota"):
            await cluster.apply(owner, child(owner, "ConfigMap", "x"), child(owner, "Job", "x"))
        assert server.list("Job") == []

    with_run(steps)


@pytest.mark.parametrize("whose", ["ours", "others", "nobody's", "none"])
def test_a_job_is_deleted_with_its_config_map_unless_that_is_of_others(whose: str) -> None:
    """A user may have edited the annotation that names it."""

    async def steps(cluster: Cluster, server: MemoryServer, owner: ObservedObject) -> None:
        named = child(owner if whose == "ours" else stranger(owner), "ConfigMap", "theirs")
        if whose == "nobody's":
            named["metadata"].pop("ownerReferences")
        if whose != "none":
            server.put("ConfigMap", named)
        annotations = {CONFIG_MAP_ANNOTATION: "theirs"}
        job = child(owner, "Job", "run-a1", annotations=annotations)
        cluster.store.upsert("Job", server.put("Job", job))
        await cluster.delete_jobs(owner, ["run-a1", "a job that is gone"])
        assert server.get("Job", "run-a1") is None
        left = [body["metadata"]["name"] for body in server.list("ConfigMap")]
        assert left == (["theirs"] if whose in ("others", "nobody's") else [])

    with_run(steps)


def test_a_job_of_an_earlier_object_of_the_name_is_neither_deleted_nor_resized() -> None:
    async def steps(cluster: Cluster, server: MemoryServer, owner: ObservedObject) -> None:
        job = server.put("Job", child(stranger(owner), "Job", "run-a1", spec={"parallelism": 1}))
        cluster.store.upsert("Job", job)
        before = len(server.requests)
        await cluster.delete_jobs(owner, ["run-a1"])
        await cluster.resize_job(owner, "run-a1", 5)
        await cluster.resize_job(owner, "a job that is gone", 5)
        assert len(server.requests) == before
        assert server.get("Job", "run-a1") == job

    with_run(steps)


def test_a_status_is_written_only_when_it_changes_and_its_events_with_it() -> None:
    async def steps(cluster: Cluster, server: MemoryServer, owner: ObservedObject) -> None:
        attempts = [AttemptStatus(number=1, job="run-a1")]
        status = STATUS.model_copy(update={"attempts": attempts})
        await cluster.write_status(owner, status, NOW)
        assert [event["reason"] for event in server.list("Event")] == ["AttemptStarted"]
        stored = cluster.store.get(owner.key)
        assert stored is not None
        writes = server.writes
        await cluster.write_status(stored, status, at(60))
        assert server.writes == writes

    with_run(steps)


def test_an_object_that_is_gone_has_neither_a_status_nor_events() -> None:
    async def steps(cluster: Cluster, server: MemoryServer, owner: ObservedObject) -> None:
        attempts = [AttemptStatus(number=1, job="run-a1")]
        server.remove("PretrainJob", "run")
        await cluster.write_status(owner, STATUS.model_copy(update={"attempts": attempts}), NOW)
        assert server.objects == {}
        successor = server.put("PretrainJob", make_body("PretrainJob", "run"))
        with pytest.raises(Unavailable):
            await cluster.write_status(owner, STATUS, NOW)
        assert server.get("PretrainJob", "run") == successor

    with_run(steps)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_status_is_written_although_its_events_are_refused(status: int) -> None:
    async def steps(cluster: Cluster, server: MemoryServer, owner: ObservedObject) -> None:
        server.refuse = lambda method, path: (
            ApiException(status=status, reason="no") if path.endswith("/events") else None
        )
        attempts = [AttemptStatus(number=1, job="run-a1")]
        await cluster.write_status(owner, STATUS.model_copy(update={"attempts": attempts}), NOW)
        assert (server.get("PretrainJob", "run") or {})["status"]["phase"] == "Running"
        assert server.list("Event") == []

    with_run(steps)


def test_the_events_of_one_reconcile_are_bounded_and_in_order() -> None:
    async def steps(cluster: Cluster, server: MemoryServer, owner: ObservedObject) -> None:
        attempts = [AttemptStatus(number=n, job=f"run-a{n}", reason="hang") for n in range(1, 500)]
        await cluster.write_status(owner, STATUS.model_copy(update={"attempts": attempts}), NOW)
        events = sorted(server.list("Event"), key=lambda event: str(event["eventTime"]))
        assert 10 <= len(events) <= 50
        assert [event["reason"] for event in events[:2]] == ["AttemptStarted", "AttemptEnded"]
        assert len({event["eventTime"] for event in events}) == len(events)

    with_run(steps)


def test_secrets_are_missing_only_if_they_do_not_exist_in_the_namespace() -> None:
    async def steps(cluster: Cluster, server: MemoryServer, owner: ObservedObject) -> None:
        server.put("Secret", {"metadata": {"name": "here"}})
        server.put("Secret", {"metadata": {"name": "there", "namespace": "team"}})
        await cluster.require_secrets(owner, ["here"])
        with pytest.raises(DependencyNotReady, match="no Secret there in namespace default;"):
            await cluster.require_secrets(owner, ["here", "there"])
        team = replace(owner, key=replace(owner.key, namespace="team"))
        with pytest.raises(DependencyNotReady, match="no Secret absent, here in namespace team;"):
            await cluster.require_secrets(team, ["here", "there", "absent"])

    with_run(steps)
