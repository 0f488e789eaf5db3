"""A run that gets no further ends soon, and says which pod or rank it waits for."""

import signal
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from integration.trainer.launchers import StartLaunchers
from integration.trainer.training_runs import BATCH, LENGTH, make_run
from ports import free_port
from pretrain_api.reports import ExitClass

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

LONG = {"tokens": 3000 * BATCH * LENGTH}
SOON = {"startWithin": "10s", "stepWithin": "10s"}


def two_ranks(**parallelism: Any) -> dict[str, Any]:
    return make_run(training=LONG, recovery=SOON, parallelism=parallelism)


def test_a_frozen_rank_ends_the_attempt_as_a_hang_that_says_where_all_ranks_are(
    start: StartLaunchers,
) -> None:
    (pod,) = start(two_ranks(processes=2, tensor=2))
    pod.wait_for(lambda: pod.step >= 2)
    pod.ranks[0].suspend()
    report = pod.report()
    assert report.exit_class is ExitClass.HANG
    start_of, _, places = report.message.partition(": ")
    assert start_of == "the ranks got no further for 10 s (spec.recovery.stepWithin)"
    assert places.count("does not answer: it is stopped, or stuck in a driver") == 1
    assert places.count(" is in ") == 1
    assert "(most recent call first):" in pod.log.read_text()


def test_a_pod_that_never_joins_is_named(start: StartLaunchers) -> None:
    first, second = start(two_ranks(nodes=2, processes=1))
    second.process.send_signal(signal.SIGKILL)
    report = first.report()
    assert report.exit_class is ExitClass.INFRASTRUCTURE
    assert report.message.startswith("pod 1 of 2 did not join within 10 s (spec.recovery.startWit")
    assert report.seconds < 60


def test_a_pod_that_waits_for_others_ends_when_it_is_asked_to(start: StartLaunchers) -> None:
    run = make_run(training=LONG, parallelism={"nodes": 2, "processes": 1})
    first, second = start(run)
    second.process.send_signal(signal.SIGKILL)
    first.wait_for(lambda: any(one.name() for one in psutil.Process(first.process.pid).children()))
    first.process.terminate()
    report = first.report()
    assert report.exit_class is ExitClass.PREEMPTED
    assert report.seconds < 60


def test_a_lost_pod_0_is_named_by_a_pod_that_waits_for_it(start: StartLaunchers) -> None:
    first, second, third = start(two_ranks(nodes=3, processes=1) | {"attempt": 2})
    third.process.send_signal(signal.SIGKILL)
    second.wait_for(lambda: "pod 0 is " in second.log.read_text())
    first.process.send_signal(signal.SIGKILL)
    report = second.report()
    assert report.exit_class is ExitClass.INFRASTRUCTURE
    assert report.message.startswith("pod 0 does not answer at 127.78.")


def test_a_port_in_use_is_named(start: StartLaunchers) -> None:
    run = two_ranks(processes=1) | {"rendezvousPort": free_port()}
    with socket.create_server(("127.0.0.1", run["rendezvousPort"])):
        (pod,) = start(run)
        report = pod.report()
    assert report.exit_class is ExitClass.INFRASTRUCTURE
    assert report.message.startswith(f"port {run['rendezvousPort']} of pod 0 is in use by another")


def test_a_killed_agent_is_named(start: StartLaunchers) -> None:
    (pod,) = start(two_ranks(processes=1))
    pod.wait_for(lambda: pod.step >= 1)
    (rank,) = pod.ranks
    agent = rank.parent()
    assert agent is not None
    agent.kill()
    report = pod.report()
    assert report.exit_class is ExitClass.INFRASTRUCTURE
    assert report.message == "torchrun's agent was killed by SIGKILL, and its ranks with it"
    assert Path(pod.root / "termination-log").exists()
