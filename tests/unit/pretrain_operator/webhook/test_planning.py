"""Searches in workers: the event loop stays free, their number and their time are bounded."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from builders import parsed_run, profile_spec, run_spec
from pretrain_api.kinds import PRETRAIN_JOB
from pretrain_api.rules import check
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.admission.related_objects import DatasetInfo, RelatedObjects
from pretrain_operator.admission.runs import AdmissionRequest, AdmissionResult, admit
from pretrain_operator.webhook.planning import SAMPLE, Planning

RELATED = RelatedObjects(
    profile=ComputeProfileSpec.model_validate(profile_spec()),
    dataset=DatasetInfo("blocks", 128, 10**6),
    vocabulary=1024,
)
RUN = AdmissionRequest("run", parsed_run(), RELATED)
WRONG = replace(RUN, spec=parsed_run(training={**run_spec()["training"], "sequenceLength": 64}))
SECONDS = 60.0


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@contextmanager
def busy(thread: ThreadPoolExecutor) -> Iterator[None]:
    """Keep the thread busy."""
    done = threading.Event()
    thread.submit(done.wait)
    try:
        yield
    finally:
        done.set()


def test_the_run_that_warms_the_workers_up_is_checked_by_all_rules() -> None:
    assert check(PRETRAIN_JOB.name, SAMPLE) == []


def test_the_result_is_that_of_every_other_admission_path(thread: ThreadPoolExecutor) -> None:
    planning = Planning(lambda: thread, max_pending=1, timeout_seconds=SECONDS)
    assert asyncio.run(planning.admit(WRONG)) == admit(WRONG)


def test_after_a_timeout_only_the_plan_is_missing(thread: ThreadPoolExecutor) -> None:
    planning = Planning(lambda: thread, max_pending=1, timeout_seconds=0.01)
    with busy(thread):
        result = asyncio.run(planning.admit(WRONG))
    assert result.errors == admit(WRONG).errors
    assert result.missing == (
        "spec.parallelism: memory and time are not checked here because the search for a layout"
        " takes more than 0.01 s; the operator checks them before it creates anything",
    )


def test_a_run_beyond_the_maximum_is_answered_at_once(thread: ThreadPoolExecutor) -> None:
    async def overload() -> tuple[AdmissionResult, AdmissionResult]:
        planning = Planning(lambda: thread, max_pending=1, timeout_seconds=SECONDS)
        with busy(thread):
            waiting = asyncio.create_task(planning.admit(RUN))
            await asyncio.sleep(0)  # its search is pending now
            unplanned = await planning.admit(replace(RUN, name="other"))
        return await waiting, unplanned

    first, second = asyncio.run(overload())
    assert first == admit(RUN)
    assert "because 1 runs, the maximum, are being planned" in second.missing[0]


def test_a_search_is_pending_until_it_ends_although_its_request_has_timed_out(
    thread: ThreadPoolExecutor,
) -> None:
    async def overrun() -> None:
        planning = Planning(lambda: thread, max_pending=1, timeout_seconds=0.01)
        with busy(thread):
            late = await planning.admit(RUN)
            assert "takes more than" in late.missing[0]
            unplanned = await planning.admit(RUN)
            assert "are being planned" in unplanned.missing[0]
        await asyncio.wrap_future(thread.submit(lambda: None))  # behind the search
        again = await planning.admit(RUN)
        assert "are being planned" not in "".join(again.missing)

    asyncio.run(overrun())


def test_a_search_that_raises_is_no_longer_pending(thread: ThreadPoolExecutor) -> None:
    planning = Planning(lambda: thread, max_pending=1, timeout_seconds=SECONDS)
    dataset = DatasetInfo("blocks", 128, tokens=None)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(TypeError):
            asyncio.run(planning.admit(replace(RUN, related=RelatedObjects(dataset=dataset))))


def test_a_cached_result_does_not_wait_for_other_searches(thread: ThreadPoolExecutor) -> None:
    async def admit_again() -> None:
        planning = Planning(lambda: thread, max_pending=1, timeout_seconds=SECONDS)
        first = await planning.admit(RUN)
        with busy(thread):
            assert await planning.admit(RUN) is first
            other = asyncio.create_task(planning.admit(replace(RUN, name="other")))
            await asyncio.sleep(0)  # its search is pending now, which is the maximum
            assert await planning.admit(RUN) is first
        assert (await other).errors == []

    asyncio.run(admit_again())
