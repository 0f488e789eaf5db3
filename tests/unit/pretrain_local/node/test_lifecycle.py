"""Which containers start when, when a pod must stop, and the status that is reported."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pods import make_container, make_pod_spec
from pretrain_local.node import lifecycle, status
from pretrain_local.node.api.pods import Pod
from pretrain_local.node.runtime.attempts import Attempt, ObservedAttempts
from pretrain_local.node.runtime.exits import Exit

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


def observe(
    pod: Pod, codes: dict[str, int], messages: dict[str, str] | None = None, **fields: Any
) -> status.RuntimeStatus:
    names = [c.name for c in (*pod.spec.init_containers, *pod.spec.containers)]
    attempts = {name: attempt(codes[name]) if name in codes else None for name in names}
    observed = ObservedAttempts(attempts, messages=messages or {})
    return status.RuntimeStatus("127.9.1.1", "127.9.0.1", NOW, observed, **fields)


def starts(pod: Pod, codes: dict[str, int]) -> list[tuple[str, int]]:
    plan = lifecycle.plan_starts(pod, observe(pod, codes).attempts.latest, NOW)
    return [(start.container.name, start.number) for start in plan.starts]


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
    assert lifecycle.backoff_seconds(number) == want


def test_a_container_in_backoff_waits_for_the_rest_of_it() -> None:
    pod = make_pod("Always")
    attempts = {"main0": attempt(1, number=1, ended_ago=4.0)}
    plan = lifecycle.plan_starts(pod, attempts, NOW)
    assert (plan.starts, dict(plan.backoffs)) == ((), {"main0": 6.0})


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
    observed = observe(pod, codes, termination=lifecycle.PodTermination(reason, reason))
    assert status.pod_phase(pod, observed) == want


@pytest.mark.parametrize(
    ("fields", "age", "want"),
    [
        ({}, 1e6, None),
        ({"deadline": 60}, 59.0, None),
        ({"deadline": 60}, 60.0, "DeadlineExceeded"),
        ({"phase": "Failed"}, 0.0, ""),
        ({"deleted": True}, 0.0, ""),
        ({"deleted": True, "deadline": 60}, 61.0, ""),
    ],
)
def test_a_pod_must_stop_when_it_is_deleted_finished_or_past_its_deadline(
    fields: dict[str, Any], age: float, want: str | None
) -> None:
    pod = make_pod(status={"phase": fields.get("phase", "Running")})
    metadata, spec = pod.metadata, pod.spec
    if "deleted" in fields:
        metadata = metadata.model_copy(update={"deletion_timestamp": NOW})
    if "deadline" in fields:
        spec = spec.model_copy(update={"active_deadline_seconds": fields["deadline"]})
    pod = pod.model_copy(update={"metadata": metadata, "spec": spec})
    planned = lifecycle.plan_termination(pod, NOW - timedelta(seconds=age), NOW)
    assert (None if planned is None else planned.reason) == want


def test_a_running_pod_is_ready() -> None:
    pod = make_pod()
    built = status.build_status(pod, observe(pod, {"main0": RUNNING}), NOW)
    assert {c["type"]: c["status"] for c in built["conditions"]} == {
        "PodScheduled": "True", "Initialized": "True", "ContainersReady": "True", "Ready": "True",
    }  # fmt: skip
    assert built["containerStatuses"][0]["state"] == {
        "running": {"startedAt": "2026-01-01T11:58:59Z"}
    }


def test_an_ended_container_has_its_exit_code_reason_and_message() -> None:
    pod = make_pod()
    observed = observe(pod, {"main0": 65}, messages={"main0": "a report"})
    built = status.build_status(pod, observed, NOW)
    assert built["containerStatuses"][0]["state"]["terminated"] == {
        "exitCode": 65,
        "reason": "Error",
        "message": "a report",
        "startedAt": "2026-01-01T11:58:59Z",
        "finishedAt": "2026-01-01T11:59:59Z",
        "containerID": "process://u/main0/0",
    }
    ready = next(c for c in built["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PodFailed")


def test_a_container_in_backoff_shows_its_last_end() -> None:
    pod = make_pod("Always")
    waiting = {"main0": status.crash_loop_backoff("main0", pod, 6.0)}
    built = status.build_status(pod, observe(pod, {"main0": 7}, waiting=waiting), NOW)
    (container,) = built["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container["lastState"]["terminated"]["exitCode"] == 7


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"}]
    pod = make_pod(status={"conditions": conditions})
    same = status.build_status(pod, observe(pod, {"main0": RUNNING}), NOW)["conditions"]
    other = status.build_status(pod, observe(pod, {"main0": 0}), NOW)["conditions"]
    times = [next(c for c in found if c["type"] == "Ready")["lastTransitionTime"]
             for found in (same, other)]  # fmt: skip
    assert times == ["2025-01-01T00:00:00Z", "2026-01-01T12:00:00Z"]
