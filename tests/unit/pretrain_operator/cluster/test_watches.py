"""Watches over HTTP: what a server streams is stored, and a stream that breaks is opened again."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from aiohttp import web

from builders import make_body
from local_http import connect, serve
from pretrain_operator.cluster.resources import OURS
from pretrain_operator.cluster.store import Store
from pretrain_operator.cluster.watches import Scope, Watch
from pretrain_operator.observed.errors import Refused
from pretrain_operator.observed.objects import Key

Json = dict[str, Any]
PIPELINE = OURS["DataPipeline"]


class Server:
    """Lists one object, and streams the responses of a script, one for each watch."""

    def __init__(self, *scripts: Sequence[Json | str]) -> None:
        self.scripts = list(scripts)
        self.lists, self.versions = 0, list[str]()
        self.status = 200
        self.is_done, self._end = asyncio.Event(), asyncio.Event()

    def end_streams(self) -> None:
        """End the responses that are silent, and those that follow."""
        self._end.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.status != 200:
            return web.json_response({"message": "pipelines is forbidden"}, status=self.status)
        if request.query.get("watch") != "true":
            self.lists += 1
            version = str(10 * self.lists)
            items = [body("listed", version)] if self.lists == 1 else []
            return web.json_response({"metadata": {"resourceVersion": version}, "items": items})
        self.versions.append(request.query["resourceVersion"])
        assert request.query["allowWatchBookmarks"] == "true"
        response = web.StreamResponse()
        await response.prepare(request)
        if not self.scripts:
            self.is_done.set()
            await self._end.wait()
            return response
        for change in self.scripts.pop(0):
            text = change if isinstance(change, str) else json.dumps(change)
            for start in range(0, len(text), 1000):  # a line arrives in parts
                await response.write(text[start : start + 1000].encode())
            await response.write(b"\n")
        return response


def body(name: str, version: str, **changes: Any) -> Json:
    return make_body("DataPipeline", name, metadata={"resourceVersion": version}, **changes)


def change(kind: str, name: str, version: str, **changes: Any) -> Json:
    return {"type": kind, "object": body(name, version, **changes)}


def bookmark(version: str) -> Json:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}


def follow(
    *scripts: Sequence[Json | str], then: Callable[[Server, Watch], Awaitable[None]] | None = None
) -> tuple[Server, Store, Watch]:
    """Follow a server until it has streamed all scripts."""

    async def run() -> tuple[Server, Store, Watch]:
        server, store = Server(*scripts), Store(lambda key, with_dependents: None)
        async with serve(server.handle) as port, connect(port) as api:
            watch = Watch(api, store, PIPELINE, Scope("default"))
            await watch.list()
            task = asyncio.create_task(watch.follow())
            try:
                await server.is_done.wait()
                if then is not None:
                    await then(server, watch)
                assert not task.done()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        return server, store, watch

    return asyncio.run(asyncio.wait_for(run(), 20))


def names(store: Store) -> set[str]:
    return {item.key.name for item in store.all("DataPipeline")}


def test_changes_are_stored_and_the_next_stream_begins_where_the_last_one_ended() -> None:
    first = [change("ADDED", "new", "11"), change("MODIFIED", "new", "12"), bookmark("15")]
    second: list[Json | str] = [change("DELETED", "listed", "16"), change("ADDED", "late", "17")]
    server, store, watch = follow(first, second)
    assert server.versions == ["10", "15", "17"]
    assert server.lists == 1
    assert names(store) == {"new", "late"}
    new = store.get(Key("DataPipeline", "default", "new"))
    assert new is not None
    assert new.resource_version == "12"
    assert watch.state.problem == ""


def test_an_object_that_cannot_be_read_does_not_hide_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = {"type": "ADDED", "object": {"metadata": {"name": "broken", "resourceVersion": "11"}}}
    server, store, _ = follow([broken, change("ADDED", "new", "12")])
    assert names(store) == {"listed", "new"}
    assert server.versions == ["10", "12"]
    assert "DataPipeline broken: an error of ours" in caplog.text


def test_an_object_of_a_megabyte_is_one_line() -> None:
    large = change("ADDED", "large", "11", status={"message": "x" * 1_000_000})
    _, store, _ = follow([large])
    assert names(store) == {"listed", "large"}


def test_a_server_that_has_forgotten_the_version_is_listed_again() -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}
    server, store, _ = follow([gone])
    assert server.lists == 2
    assert server.versions == ["10", "20"]
    assert names(store) == set(), "the second list does not have what was deleted meanwhile"


def test_a_stream_that_breaks_is_opened_again_and_loses_nothing() -> None:
    broken: list[Json | str] = [change("ADDED", "new", "11"), '{"type": "ADDED", "obj']
    error = {"type": "ERROR", "object": {"code": 500, "message": "etcd is away"}}
    server, store, watch = follow(broken, [error], [change("ADDED", "late", "12")])
    assert server.versions == ["10", "11", "11", "12"]
    assert server.lists == 1
    assert names(store) == {"listed", "new", "late"}
    assert watch.state.refusal == ""


def test_a_watch_that_is_forbidden_says_so_until_it_is_permitted() -> None:
    async def forbid(server: Server, watch: Watch) -> None:
        server.status = 403
        with pytest.raises(Refused, match="forbidden"):
            await watch.list()
        assert "pipelines is forbidden" in watch.state.refusal
        server.status = 200
        server.end_streams()
        while watch.state.refusal:  # the next request is accepted
            await asyncio.sleep(0.01)

    follow(then=forbid)
