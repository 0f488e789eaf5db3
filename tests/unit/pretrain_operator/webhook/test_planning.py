"""Searches beside the event loop: it stays free, their number and their time are bounded."""

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

AROUND = RelatedObjects(
    ComputeProfileSpec.model_validate(profile_spec()), DatasetInfo("blocks", 128, 10**6), 1024
)
RUN = AdmissionRequest("run", parsed_run(), AROUND)
WRONG = replace(RUN, spec=parsed_run(training={**run_spec()["training"], "sequenceLength": 64}))
SECONDS = 60.0


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as one:
        yield one


@contextmanager
def busy(thread: ThreadPoolExecutor) -> Iterator[None]:
    """Keep the thread busy."""
    done = threading.Event()
    thread.submit(done.wait)
    try:
        yield
    finally:
        done.set()


def test_the_run_that_warms_the_planners_up_is_judged_by_all_rules() -> None:
    assert check(PRETRAIN_JOB.name, SAMPLE) == []


def test_a_verdict_is_that_of_every_other_door(thread: ThreadPoolExecutor) -> None:
    planning = Planning(lambda: thread, most=1, seconds=SECONDS)
    assert asyncio.run(planning.admit(WRONG)) == admit(WRONG)


def test_with_no_time_left_the_rules_and_the_dataset_still_hold(
    thread: ThreadPoolExecutor,
) -> None:
    planning = Planning(lambda: thread, most=1, seconds=0.01)
    with busy(thread):
        verdict = asyncio.run(planning.admit(WRONG))
    assert verdict.errors == admit(WRONG).errors
    assert verdict.missing == (
        "spec.parallelism: memory and time are not checked here, the search for a layout takes"
        " more than 0.01 s; the operator checks them before it creates anything",
    )


def test_one_too_many_is_answered_at_once(thread: ThreadPoolExecutor) -> None:
    async def crowd() -> tuple[AdmissionResult, AdmissionResult]:
        planning = Planning(lambda: thread, most=1, seconds=SECONDS)
        with busy(thread):
            waiting = asyncio.create_task(planning.admit(RUN))
            await asyncio.sleep(0)  # it has asked
            refused = await planning.admit(replace(RUN, name="other"))
        return await waiting, refused

    first, second = asyncio.run(crowd())
    assert first == admit(RUN)
    assert "as many runs as it takes (1) are being planned" in second.missing[0]


def test_a_search_that_nobody_waits_for_keeps_its_place_until_it_is_done(
    thread: ThreadPoolExecutor,
) -> None:
    async def overrun() -> None:
        planning = Planning(lambda: thread, most=1, seconds=0.01)
        with busy(thread):
            late = await planning.admit(RUN)
            assert "takes more than" in late.missing[0]
            refused = await planning.admit(RUN)
            assert "are being planned" in refused.missing[0]
        await asyncio.wrap_future(thread.submit(lambda: None))  # behind the search
        again = await planning.admit(RUN)
        assert "are being planned" not in "".join(again.missing)

    asyncio.run(overrun())


def test_an_error_of_ours_is_raised_and_gives_its_place_back(thread: ThreadPoolExecutor) -> None:
    planning = Planning(lambda: thread, most=1, seconds=SECONDS)
    dataset = DatasetInfo("blocks", 128, tokens=None)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(TypeError):
            asyncio.run(planning.admit(replace(RUN, related=RelatedObjects(dataset=dataset))))


def test_who_asks_again_does_not_wait_behind_others(thread: ThreadPoolExecutor) -> None:
    async def ask() -> None:
        planning = Planning(lambda: thread, most=1, seconds=SECONDS)
        first = await planning.admit(RUN)
        with busy(thread):
            assert await planning.admit(RUN) is first
            others = asyncio.create_task(planning.admit(replace(RUN, name="other")))
            await asyncio.sleep(0)  # it has asked, and nobody else may wait
            assert await planning.admit(RUN) is first
        assert (await others).errors == []

    asyncio.run(ask())
