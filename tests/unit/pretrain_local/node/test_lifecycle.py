"""Decisions: what starts when, and what the API server hears."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pods import make_container, make_pod_spec
from pretrain_local.node import lifecycle, status
from pretrain_local.node.api.pods import Pod
from pretrain_local.node.runtime.attempts import Attempt, Exit

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUNNING = -1
"""Stands for an attempt that has not ended."""


def make_pod(policy: str = "Never", inits: int = 0, mains: int = 1, **fields: Any) -> Pod:
    spec = make_pod_spec(
        *(make_container("pass", f"main{index}") for index in range(mains)),
        initContainers=[make_container("pass", f"init{index}") for index in range(inits)],
        restartPolicy=policy,
    )
    metadata = {"name": "p", "namespace": "n", "uid": "u"}
    return Pod.model_validate({"metadata": metadata, "spec": spec} | fields)


def attempt(code: int, number: int = 0, ended_ago: float = 1.0, reason: str = "Error") -> Attempt:
    ended = NOW - timedelta(seconds=ended_ago)
    started = ended - timedelta(seconds=60)
    exit_ = None if code == RUNNING else Exit(code, reason, "", started, ended)
    return Attempt(Path("/x"), number, started, exit_)


def observe(pod: Pod, codes: dict[str, int], **fields: Any) -> status.Observed:
    names = [c.name for c in (*pod.spec.init_containers, *pod.spec.containers)]
    attempts = {name: attempt(codes[name]) if name in codes else None for name in names}
    return status.Observed("127.9.1.1", "127.9.0.1", NOW, attempts, {}, **fields)


def starts(pod: Pod, codes: dict[str, int]) -> list[tuple[str, int]]:
    steps = lifecycle.plan_steps(pod, observe(pod, codes).attempts, NOW)
    return [(start.container.name, start.number) for start in steps.starts]


@pytest.mark.parametrize(
    ("codes", "want"),
    [
        ({}, [("init0", 0)]),
        ({"init0": RUNNING}, []),
        ({"init0": 0}, [("init1", 0)]),
        ({"init0": 0, "init1": 3}, []),
        ({"init0": 0, "init1": 0}, [("main0", 0)]),
        ({"init0": 0, "init1": 0, "main0": RUNNING}, []),
        ({"init0": 0, "init1": 0, "main0": 1}, []),
    ],
)
def test_init_containers_run_in_order_and_must_succeed(
    codes: dict[str, int], want: list[tuple[str, int]]
) -> None:
    assert starts(make_pod(inits=2), codes) == want


def test_main_containers_start_together() -> None:
    assert starts(make_pod(mains=2), {}) == [("main0", 0), ("main1", 0)]


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        ("Never", 1, False), ("OnFailure", 1, True), ("OnFailure", 0, False), ("Always", 0, True),
    ],
)  # fmt: skip
def test_the_restart_policy_decides(policy: str, code: int, again: bool) -> None:
    assert starts(make_pod(policy), {"main0": code}) == ([("main0", 1)] if again else [])


@pytest.mark.parametrize(("number", "want"), [(0, 0), (1, 10), (2, 20), (6, 300), (9999, 300)])
def test_each_restart_waits_twice_as_long_up_to_five_minutes(number: int, want: float) -> None:
    assert lifecycle.back_off_seconds(number) == want


def test_a_container_that_rests_says_how_long() -> None:
    pod = make_pod("Always")
    attempts = {"main0": attempt(1, number=1, ended_ago=4.0)}
    steps = lifecycle.plan_steps(pod, attempts, NOW)
    assert (steps.starts, dict(steps.back_offs)) == ((), {"main0": 6.0})


@pytest.mark.parametrize(
    ("policy", "codes", "want"),
    [
        ("Never", {}, "Pending"),
        ("Never", {"init0": RUNNING}, "Pending"),
        ("Never", {"init0": 1}, "Failed"),
        ("OnFailure", {"init0": 1}, "Pending"),
        ("Never", {"init0": 0}, "Pending"),
        ("Never", {"init0": 0, "main0": RUNNING}, "Pending"),
        ("Never", {"init0": 0, "main0": RUNNING, "main1": RUNNING}, "Running"),
        ("Never", {"init0": 0, "main0": 0, "main1": RUNNING}, "Running"),
        ("Never", {"init0": 0, "main0": 0, "main1": 0}, "Succeeded"),
        ("Never", {"init0": 0, "main0": 0, "main1": 2}, "Failed"),
        ("OnFailure", {"init0": 0, "main0": 0, "main1": 2}, "Running"),
        ("Always", {"init0": 0, "main0": 0, "main1": 0}, "Running"),
    ],
)
def test_phases_are_a_kubelets(policy: str, codes: dict[str, int], want: str) -> None:
    pod = make_pod(policy, inits=1, mains=2)
    assert status.pod_phase(pod, observe(pod, codes)) == want


@pytest.mark.parametrize(
    ("codes", "reason", "want"),
    [
        ({"main0": 0}, "", "Succeeded"),
        ({"main0": 143}, "", "Failed"),
        ({}, "", "Failed"),
        ({"main0": 0}, "DeadlineExceeded", "Failed"),
        ({"main0": RUNNING}, "", "Running"),
    ],
)
def test_a_stopped_pod_ends_by_what_its_containers_did(
    codes: dict[str, int], reason: str, want: str
) -> None:
    pod = make_pod("Always")
    observed = observe(pod, codes, ended=status.Ended(reason, reason))
    assert status.pod_phase(pod, observed) == want


def test_a_running_pod_is_ready() -> None:
    pod = make_pod()
    found = status.build_status(pod, observe(pod, {"main0": RUNNING}), NOW)
    assert {c["type"]: c["status"] for c in found["conditions"]} == {
        "PodScheduled": "True", "Initialized": "True", "ContainersReady": "True", "Ready": "True",
    }  # fmt: skip
    assert found["containerStatuses"][0]["state"] == {
        "running": {"startedAt": "2026-01-01T11:58:59Z"}
    }


def test_an_ended_container_tells_how_and_why() -> None:
    pod = make_pod()
    observed = observe(pod, {"main0": 65}, messages={"main0": "a report"})
    found = status.build_status(pod, observed, NOW)
    assert found["containerStatuses"][0]["state"]["terminated"] == {
        "exitCode": 65,
        "reason": "Error",
        "message": "a report",
        "startedAt": "2026-01-01T11:58:59Z",
        "finishedAt": "2026-01-01T11:59:59Z",
        "containerID": "process://u/main0/0",
    }
    ready = next(c for c in found["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PodFailed")


def test_a_resting_container_shows_its_last_end() -> None:
    pod = make_pod("Always")
    waiting = {"main0": status.back_off("main0", pod, 6.0)}
    found = status.build_status(pod, observe(pod, {"main0": 7}, waiting=waiting), NOW)
    (container,) = found["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container["lastState"]["terminated"]["exitCode"] == 7


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    known = [{"type": "Ready", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"}]
    pod = make_pod(status={"conditions": known})
    same = status.build_status(pod, observe(pod, {"main0": RUNNING}), NOW)["conditions"]
    other = status.build_status(pod, observe(pod, {"main0": 0}), NOW)["conditions"]
    times = [next(c for c in found if c["type"] == "Ready")["lastTransitionTime"]
             for found in (same, other)]  # fmt: skip
    assert times == ["2025-01-01T00:00:00Z", "2026-01-01T12:00:00Z"]
