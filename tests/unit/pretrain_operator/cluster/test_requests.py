"""Requests to the API server: preconditions and pages against the server in memory.

Errors are those of the real client, whose server runs on this machine.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.rest import ApiException

from builders import make_body, pipeline_spec
from local_http import Handler, connect, hang, serve
from memory_server import MemoryServer
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.resources import CONFIG_MAP, JOB, OURS, SECRET, ObjectIdentity
from pretrain_operator.observed.errors import Refused, Unavailable

Json = dict[str, Any]

PIPELINE = OURS["DataPipeline"]
PROFILE = OURS["ComputeProfile"]


def in_memory[T](steps: Callable[[Api, MemoryServer], Awaitable[T]]) -> T:
    """Run steps with an empty server in memory."""

    async def run() -> T:
        server = MemoryServer()
        return await steps(Api(server), server)

    return asyncio.run(run())


def against[T](handler: Handler, steps: Callable[[Api], Awaitable[T]]) -> T:
    """Run steps with the real client and a server with this handler."""

    async def run() -> T:
        async with serve(handler) as port, connect(port) as api:
            return await steps(api)

    return asyncio.run(asyncio.wait_for(run(), 20))


def answer(status: int, body: str | Json, content_type: str = "application/json") -> Handler:
    """Return a handler with one response to all requests."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(
            status=status, body=text.encode(), headers={"Content-Type": content_type}
        )

    return handler


def failure(message: str = "because") -> Json:
    """Return what the API server answers when it does not do what it should."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message}


def config_map(name: str = "x", **fields: Any) -> Json:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **fields}


async def get_pipeline(api: Api) -> object:
    return await api.get(PIPELINE, "default", "documents")


def test_a_list_has_the_objects_of_all_pages_and_the_version_of_the_first() -> None:
    pages = {
        None: {"metadata": {"resourceVersion": "7", "continue": "t 1"}, "items": [1, 2]},
        "t 1": {"metadata": {"resourceVersion": "9", "continue": "t/2"}, "items": None},
        "t/2": {"metadata": {"resourceVersion": "9"}, "items": [3]},
    }
    queries: list[Json] = []

    async def handler(request: web.Request) -> web.Response:
        queries.append(dict(request.query))
        return web.json_response(pages[request.query.get("continue")])

    async def steps(api: Api) -> object:
        return await api.list(JOB, "team", "pretrain.dev/kind")

    assert against(handler, steps) == ([1, 2, 3], "7")
    assert {query["labelSelector"] for query in queries} == {"pretrain.dev/kind"}
    assert len(queries) == 3


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1500])
def test_a_list_is_complete_at_every_length(count: int) -> None:
    async def steps(api: Api, server: MemoryServer) -> tuple[list[str], int]:
        for number in range(count):
            server.put("ConfigMap", config_map(f"x-{number:04}"))
        items, _ = await api.list(CONFIG_MAP, None)
        return [item["metadata"]["name"] for item in items], len(server.requests)

    listed, requests = in_memory(steps)
    assert listed == [f"x-{number:04}" for number in range(count)]
    assert requests <= count // 500 + 1


def test_a_list_whose_later_page_has_expired_is_no_shorter_list() -> None:
    async def handler(request: web.Request) -> web.Response:
        if "continue" in request.query:
            return web.json_response(failure("the list is too old"), status=410)
        metadata = {"resourceVersion": "7", "continue": "t"}
        return web.json_response({"metadata": metadata, "items": [{}]})

    with pytest.raises(Unavailable, match="410"):
        against(handler, lambda api: api.list(JOB, None))


@pytest.mark.parametrize(
    ("status", "want"),
    [
        (400, Refused),
        (401, Unavailable),
        (403, Refused),
        (405, Refused),
        (408, Unavailable),
        (409, Unavailable),
        (410, Unavailable),
        (413, Refused),
        (415, Unavailable),
        (422, Refused),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
    ],
)
def test_an_error_is_a_refusal_only_if_a_repeated_request_would_fail_too(
    status: int, want: type[Exception]
) -> None:
    with pytest.raises((Refused, Unavailable)) as caught:
        against(answer(status, failure("quota «exceeded»")), get_pipeline)
    assert isinstance(caught.value, want)
    assert "quota «exceeded»" in str(caught.value)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(answer(200, ""), id="no body"),
        pytest.param(answer(200, "{"), id="half a body"),
        pytest.param(answer(200, "[]"), id="a list"),
        pytest.param(answer(200, "<html>sign in</html>", "text/html"), id="a page of a proxy"),
        pytest.param(answer(502, "<html>bad gateway</html>", "text/html"), id="a dead proxy"),
        pytest.param(answer(500, "\x00"), id="an error that is no JSON"),
        pytest.param(answer(500, "[]"), id="an error that is a list"),
        pytest.param(answer(500, ""), id="an error without a body"),
    ],
)
def test_a_response_that_is_not_of_an_api_server_is_retried(handler: Handler) -> None:
    with pytest.raises(Unavailable):
        against(handler, get_pipeline)


def test_a_server_that_is_not_there_is_retried() -> None:
    async def run() -> None:
        async with serve(hang) as port:
            pass
        async with connect(port) as api:
            await get_pipeline(api)

    with pytest.raises(Unavailable, match=f"GET {PIPELINE.path('default', 'documents')}"):
        asyncio.run(run())


def test_a_proxied_response_that_never_ends_is_given_up() -> None:
    async def steps(api: Api) -> bytes:
        return await api.get_bytes("/api/v1/x", timeout_seconds=0.2, limit=1000)

    with pytest.raises(Unavailable, match="GET /api/v1/x"):
        against(hang, steps)


def test_a_create_with_a_taken_name_changes_nothing() -> None:
    async def steps(api: Api, server: MemoryServer) -> tuple[object, object]:
        server.put("ConfigMap", config_map(data={"by": "a user"}))
        created = await api.create(CONFIG_MAP, config_map(data={"by": "us"}))
        found = server.get("ConfigMap", "x")
        assert found is not None
        return created, found["data"]

    assert in_memory(steps) == (None, {"by": "a user"})


def test_an_object_of_the_same_name_is_neither_changed_nor_deleted() -> None:
    """All requests name the UID: between a read and a write, an object may be replaced."""

    async def steps(api: Api, server: MemoryServer) -> Json:
        stored = server.put("Job", {"metadata": {"name": "j"}, "spec": {"parallelism": 1}})
        other = ObjectIdentity(JOB, "default", "j", "another uid")
        manifest = {"metadata": {"name": "j", "namespace": "default"}, "spec": {"parallelism": 5}}
        with pytest.raises(Unavailable):
            await api.merge(other, {"spec": {"parallelism": 5}})
        with pytest.raises(Unavailable):
            await api.apply(JOB, manifest, "another uid")
        with pytest.raises(Unavailable):
            await api.apply_status(other, {"succeeded": 1}, stored["metadata"]["resourceVersion"])
        await api.delete(other)
        assert server.get("Job", "j") == stored
        await api.delete(ObjectIdentity(JOB, "default", "j", stored["metadata"]["uid"]))
        return {"left": server.list("Job")}

    assert in_memory(steps) == {"left": []}


def test_an_object_that_is_gone_is_no_error() -> None:
    async def steps(api: Api, server: MemoryServer) -> list[object]:
        gone = ObjectIdentity(PIPELINE, "default", "documents", "uid")
        await api.delete(gone)
        return [
            await api.apply_status(gone, {"phase": "Running"}, "1"),
            await api.get(PIPELINE, "default", "documents"),
            await api.metadata(SECRET, "default", "s3"),
        ]

    assert in_memory(steps) == [None, None, None]


def test_a_patch_of_an_object_that_is_gone_creates_nothing() -> None:
    async def steps(api: Api, server: MemoryServer) -> int:
        gone = ObjectIdentity(JOB, "default", "j", "uid")
        with pytest.raises((Refused, Unavailable)):
            await api.merge(gone, {"spec": {"parallelism": 5}})
        manifest = {"metadata": {"name": "j", "namespace": "default"}}
        with pytest.raises((Refused, Unavailable)):
            await api.apply(JOB, manifest, "uid")
        return len(server.objects)

    assert in_memory(steps) == 0


def test_a_status_replaces_the_last_one_and_leaves_the_spec() -> None:
    async def steps(api: Api, server: MemoryServer) -> Json:
        body = server.put(
            "DataPipeline", make_body("DataPipeline", "documents", status={"message": "old"})
        )
        target = ObjectIdentity(PIPELINE, "default", "documents", body["metadata"]["uid"])
        version = body["metadata"]["resourceVersion"]
        after = await api.apply_status(target, {"phase": "Running"}, version)
        assert after is not None
        with pytest.raises(Unavailable):  # of an operator that has not seen this status
            await api.apply_status(target, {"phase": "Failed"}, version)
        return after

    after = in_memory(steps)
    assert after["status"] == {"phase": "Running"}
    assert after["spec"] == pipeline_spec()
    assert after["metadata"]["generation"] == 1


def test_requests_are_those_that_the_api_server_expects() -> None:
    """Field managers, content types and paths, as they arrive at a server."""
    arrived: list[tuple[str, str, str, str]] = []
    bodies: list[Json] = []

    async def handler(request: web.Request) -> web.Response:
        kind = request.headers.get("Content-Type", "").partition(";")[0]
        manager = request.query.get("fieldManager", "")
        arrived.append((request.method, request.path, kind, manager))
        bodies.append(json.loads(await request.read() or b"{}"))
        return web.json_response({"metadata": {}})

    async def steps(api: Api) -> None:
        job = ObjectIdentity(JOB, "team", "j", "u1")
        profile = ObjectIdentity(PROFILE, "", "cpu", "u2")
        manifest = {"metadata": {"name": "j", "namespace": "team"}}
        await api.create(JOB, manifest)
        await api.merge(job, {"spec": {"parallelism": 2}})
        await api.apply(JOB, manifest, "u1")
        await api.apply_status(profile, {"conditions": []}, "7")
        await api.delete(job)

    against(handler, steps)
    jobs = "/apis/batch/v1/namespaces/team/jobs"
    profiles = "/apis/pretrain.dev/v1alpha1/computeprofiles"
    merge, apply = "application/merge-patch+json", "application/apply-patch+yaml"
    assert arrived[:4] == [
        ("POST", jobs, "application/json", "pretrain-operator"),
        ("PATCH", f"{jobs}/j", merge, "pretrain-operator"),
        ("PATCH", f"{jobs}/j", apply, "pretrain-operator"),
        ("PATCH", f"{profiles}/cpu/status", apply, "pretrain-status"),
    ]
    assert arrived[4][:2] == ("DELETE", f"{jobs}/j")
    assert bodies[1] == {"spec": {"parallelism": 2}, "metadata": {"uid": "u1"}}
    assert bodies[2]["metadata"]["uid"] == "u1"
    assert bodies[3]["metadata"] == {"name": "cpu", "uid": "u2", "resourceVersion": "7"}
    assert bodies[4]["preconditions"] == {"uid": "u1"}
    assert bodies[4]["propagationPolicy"] == "Background"


def test_the_content_of_a_secret_is_never_requested() -> None:
    accepted: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        accepted.append(request.headers["Accept"])
        return web.json_response({"kind": "PartialObjectMetadata", "metadata": {"name": "s3"}})

    async def steps(api: Api) -> object:
        return await api.metadata(SECRET, "team", "s3")

    assert against(handler, steps) == {"name": "s3"}
    assert accepted == ["application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"]


def test_an_error_of_the_server_in_memory_is_one_of_the_client() -> None:
    async def steps(api: Api, server: MemoryServer) -> None:
        server.refuse = lambda method, path: ApiException(status=403, reason="not yours")
        await api.list(JOB, None)

    with pytest.raises(Refused, match="not yours"):
        in_memory(steps)
