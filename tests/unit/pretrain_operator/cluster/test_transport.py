"""Requests are repeated while their failure may pass, and no longer."""

import asyncio
from typing import Any

import aiohttp
import pytest
from kubernetes.aio.client.rest import ApiException

from pretrain_operator.cluster.transport import PATIENCE_SECONDS, RetryingTransport
from virtual_time import run

POD = "/api/v1/namespaces/team/pods/run-a1-0:8080/proxy/progress"


class Failing:
    """A server that fails some times before it answers; it records when it was asked."""

    def __init__(self, *failures: Exception, forever: bool = False) -> None:
        self._failures, self._forever = list(failures), forever
        self.asked = 0

    async def request(self, method: str, path: str, **options: Any) -> Any:
        self.asked += 1
        if self._failures:
            raise self._failures[0] if self._forever else self._failures.pop(0)
        return "answer"


def error(status: int, **headers: str) -> ApiException:
    found = ApiException(status=status, reason="because")
    found.headers = headers
    return found


def ask(server: Failing, path: str = "/api/v1/pods") -> tuple[Any, float]:
    """Return the answer, and the seconds that it took."""

    async def steps() -> tuple[Any, float]:
        clock = asyncio.get_running_loop().time
        began = clock()
        return await RetryingTransport(server).request("patch", path), clock() - began

    return run(steps())


@pytest.mark.parametrize(
    "failure",
    [error(429), error(500), error(503), TimeoutError(), aiohttp.ClientError(), OSError()],
)
def test_a_request_that_fails_twice_is_answered_in_less_than_a_second(failure: Exception) -> None:
    server = Failing(failure, failure)
    answer, seconds = ask(server)
    assert (answer, server.asked) == ("answer", 3)
    assert 0.2 < seconds < 1.0


def test_an_overloaded_server_says_when_to_ask_again() -> None:
    answer, seconds = ask(Failing(error(429, **{"Retry-After": "3"})))
    assert answer == "answer"
    assert seconds == 3.0


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_an_answer_that_stays_the_same_is_not_asked_for_again(status: int) -> None:
    server = Failing(error(status))
    with pytest.raises(ApiException):
        ask(server)
    assert server.asked == 1


@pytest.mark.parametrize(
    "failure", [error(503), TimeoutError(), error(429, **{"Retry-After": "60"})]
)
def test_the_patience_ends(failure: Exception) -> None:
    server = Failing(failure, forever=True)
    with pytest.raises(type(failure)):
        ask(server)
    assert server.asked <= 8
    assert PATIENCE_SECONDS == 10


def test_a_pod_that_does_not_answer_is_not_asked_again() -> None:
    server = Failing(error(503))
    with pytest.raises(ApiException):
        ask(server, POD)
    assert server.asked == 1
