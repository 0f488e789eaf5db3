"""The webhook over HTTP: any body has a response, and a slow search blocks nobody."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from builders import make_object, run_spec
from pretrain_operator.observed.objects import ListedObjects, ObjectReader
from pretrain_operator.webhook.planning import Planning
from pretrain_operator.webhook.server import make_app

Json = dict[str, Any]
Answer = tuple[int, str]
"""Status and text of a response."""

OBJECTS = ListedObjects(
    [
        make_object("ComputeProfile", "cpu"),
        make_object("TokenDataset", "blocks"),
        make_object("Tokenizer", "tokens"),
    ]
)


def review(spec: object, kind: str = "PretrainJob", name: object = "run", **request: Any) -> Json:
    fields = {
        "uid": "1234",
        "kind": {"kind": kind},
        "namespace": "default",
        "operation": "CREATE",
        "object": {"metadata": {"name": name}, "spec": spec},
    }
    return {"request": {**fields, **request}}


def exchange(
    *requests: tuple[str, str, bytes],
    objects: Callable[[], ObjectReader | None] = lambda: OBJECTS,
) -> list[Answer]:
    """Send requests, one after the other, to a webhook on this machine."""

    async def run() -> list[Answer]:
        with ThreadPoolExecutor(1) as threads:
            planning = Planning(lambda: threads, max_pending=1, timeout_seconds=20.0)
            runner = web.AppRunner(make_app(objects, planning))
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                async with aiohttp.ClientSession() as session:
                    answers = []
                    for method, path, data in requests:
                        async with session.request(
                            method, url + path, data=BytesIO(data)
                        ) as response:
                            answers.append((response.status, await response.text()))
                    return answers
            finally:
                await runner.cleanup()

    return asyncio.run(run())


def validate(body: bytes | Json) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    (answer,) = exchange(("POST", "/validate", data))
    return answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 1_000_000,
        b'{"request": ' * 100_000,
        b'"\\ud800"',
        b"null",
        b"[1]",
        b'{"request": {"uid": null}}',
        b'{"request": {"uid": ' + b"9" * 5000 + b"}}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_no_review_is_a_bad_request(body: bytes) -> None:
    status, text = validate(body)
    assert status == 400
    assert "the body is no" in text


def test_a_body_that_is_too_large_is_refused() -> None:
    assert validate(b" " * (9 * 2**20))[0] == 413


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(review({**run_spec(), "model": float("nan")}), id="no number"),
        pytest.param(review({**run_spec(), "model": "\ud800"}), id="half a character"),
        pytest.param(review(run_spec(), name="\ud800"), id="half a character in the name"),
        pytest.param(review({**run_spec(), "\ud800": 1}), id="half a character in a field"),
        pytest.param(review({**run_spec(), "model": "x" * 2**20}), id="a long text"),
        pytest.param(review({**run_spec(), "suspend": 10**400}), id="a huge number"),
        pytest.param(review({"x" * 2**16: {}}), id="a long field"),
        pytest.param(review({**run_spec(), "model": [[]] * 50_000}), id="many values"),
        pytest.param(review(dict.fromkeys(map(str, range(20_000)))), id="many fields"),
        pytest.param(review({"a": "line 1\nline 2"}, kind="DataPipeline"), id="two lines"),
    ],
)
def test_a_hostile_spec_is_refused_with_a_readable_message(value: Json) -> None:
    status, text = validate(value)
    assert status == 200
    response = json.loads(text)["response"]
    assert (response["uid"], response["allowed"]) == ("1234", False)
    assert "\n" not in response["status"]["message"]


@pytest.mark.parametrize("depth", [10, 300, 900])
def test_a_deep_spec_is_refused(depth: int) -> None:
    """As deep as JSON is read at all: the response must not need more of the stack."""
    deep: object = 1
    for _ in range(depth):
        deep = [deep]
    text = json.dumps(review({**run_spec(), "model": "DEEP"}))
    nested = "[" * depth + "]" * depth
    status, answer = validate(text.replace('"DEEP"', nested).encode())
    assert status in (200, 400)
    if status == 200:
        assert json.loads(answer)["response"]["allowed"] is False


def test_it_is_alive_but_not_ready_before_the_objects_have_been_read() -> None:
    data = json.dumps(review(run_spec())).encode()
    requests = [("GET", "/livez", b""), ("GET", "/healthz", b""), ("POST", "/validate", data)]
    answers = exchange(*requests, objects=lambda: None)
    assert [status for status, _ in answers] == [200, 503, 503]
    assert [status for status, _ in exchange(*requests)] == [200, 200, 200]


@pytest.mark.parametrize("kind", ["DataPipeline", "Tokenizer", "TokenDataset", "ComputeProfile"])
def test_every_kind_is_checked_when_it_is_created_and_when_it_is_updated(kind: str) -> None:
    good = dict(make_object(kind).spec)
    wrong = {**good, "nonsense": 1}
    old = {"metadata": {"name": "x"}, "spec": good}
    for extra in ({}, {"operation": "UPDATE", "oldObject": old}):
        for spec, want in ((good, True), (wrong, False)):
            response = json.loads(validate(review(spec, kind, "x", **extra))[1])["response"]
            assert response["allowed"] is want
    repaired = review(good, kind, "x", operation="UPDATE", oldObject={**old, "spec": wrong})
    assert json.loads(validate(repaired)[1])["response"]["allowed"] is True


def test_other_paths_and_methods_do_nothing() -> None:
    answers = exchange(("GET", "/validate", b""), ("POST", "/healthz", b""), ("GET", "/", b""))
    assert [status for status, _ in answers] == [405, 405, 404]
