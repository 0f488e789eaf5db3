"""A node on which attempts are lost again and again is avoided for a while."""

from typing import Any

import pytest
import yaml

from builders import NOW, at, failed_pod, make_pod
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.pretrainjob import (
    MAX_AVOIDED,
    AttemptStatus,
    AvoidNodes,
    PretrainJobStatus,
)
from pretrain_operator.observed.clock import format_time
from pretrain_operator.plan.failures import pod_failure
from pretrain_operator.plan.runs.avoided_nodes import avoided_nodes
from pretrain_operator.status.events import status_events
from reconciles import names, simulate
from run_reconciles import attempts as shown_attempts
from run_reconciles import with_running_run
from simulation import Simulation

HOUR = 3600.0


def lost_on(*nodes: str | None, hours_ago: float = 1) -> list[AttemptStatus]:
    """Return attempts that ended because of these nodes, one after the other."""
    ended_at = format_time(at(-hours_ago * HOUR))
    return [
        AttemptStatus(
            number=number, job=f"a{number}", reason="infrastructure", node=node, ended_at=ended_at
        )
        for number, node in enumerate(nodes, start=1)
    ]


@pytest.mark.parametrize(
    ("nodes", "want"),
    [
        ([], []),
        (["bad"], []),
        (["bad", "bad"], ["bad"]),
        (["bad", "other", "bad"], ["bad"]),
        (["bad", "worse", "worse", "bad", "worse"], ["worse", "bad"]),
        ([None, None, None], []),
    ],
)
def test_a_node_is_avoided_after_its_second_failure(nodes: list[str], want: list[str]) -> None:
    assert avoided_nodes(lost_on(*nodes), AvoidNodes(), NOW) == want


def test_a_failure_counts_for_a_day() -> None:
    recent, old = lost_on("bad"), lost_on("bad", hours_ago=25)
    assert avoided_nodes([*old, *recent], AvoidNodes(), NOW) == []
    assert avoided_nodes([*old, *recent], AvoidNodes(for_hours=48), NOW) == ["bad"]
    assert avoided_nodes(recent, AvoidNodes(after_failures=1), NOW) == ["bad"]


def test_the_list_is_bounded() -> None:
    many = lost_on(*[f"node-{n}" for n in range(50)], *[f"node-{n}" for n in range(50)])
    assert len(avoided_nodes(many, AvoidNodes(), NOW)) == MAX_AVOIDED


@pytest.mark.parametrize(
    ("pod", "node"),
    [
        (failed_pod(code=137), "node-1"),
        (make_pod(phase="Failed", reason="NodeLost"), "node-1"),
        (failed_pod(exit_class=ExitClass.INFRASTRUCTURE, message="peer 3 is gone"), None),
        (failed_pod(exit_class=ExitClass.HANG, message="no step"), None),
        (failed_pod(code=1), None),
        (make_pod(phase="Failed", disruption="PreemptionByScheduler"), None),
    ],
)
def test_only_a_pod_that_was_lost_or_killed_blames_its_node(pod: Any, node: str | None) -> None:
    failure = pod_failure(pod)
    assert failure is not None
    assert failure.node == node


def test_an_attempt_that_avoids_nodes_says_so_in_its_event() -> None:
    before = PretrainJobStatus()
    attempt = AttemptStatus(number=3, job="run-a3", avoids=["node-7", "node-9"])
    records = status_events(before, PretrainJobStatus(attempts=[attempt]))
    assert [record.message for record in records if record.reason == "AttemptStarted"] == [
        "attempt 3 is Job run-a3; its pods avoid node-7, node-9"
    ]


def test_the_third_attempt_avoids_the_node_that_killed_two() -> None:
    async def steps(simulation: Simulation) -> None:
        await with_running_run(simulation)
        for number in (1, 2):
            killed = {"exitCode": 137, "reason": "Error", "finishedAt": format_time(simulation.now)}
            state = {"name": "main", "state": {"terminated": killed}}
            for pod in names(simulation, "Pod"):
                if pod.startswith(f"run-a{number}"):
                    status = {"phase": "Failed", "containerStatuses": [state]}
                    simulation.server.put(
                        "Pod", {**simulation.object("Pod", pod), "status": status}
                    )
            job = simulation.object("Job", f"run-a{number}")
            failed = {"type": "Failed", "status": "True"}
            simulation.server.put("Job", {**job, "status": {"conditions": [failed]}})
            await simulation.settle()
            simulation.pass_time(61)
            await simulation.settle()
            if number == 1:
                assert "affinity" not in yaml.safe_dump(simulation.object("Job", "run-a2"))
                assert simulation.pods.step()
                await simulation.settle()
        assert [one.get("node") for one in shown_attempts(simulation)] == ["node-1", "node-1", None]
        assert shown_attempts(simulation)[2]["avoids"] == ["node-1"]
        spec = simulation.object("Job", "run-a3")["spec"]["template"]["spec"]
        affinity = spec["affinity"]["nodeAffinity"]
        (term,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        assert term["preference"]["matchFields"] == [
            {"key": "metadata.name", "operator": "NotIn", "values": ["node-1"]}
        ]

    simulate(steps)
