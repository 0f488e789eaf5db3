"""Runs in a queue: they wait, are preempted and go on, and no attempt is charged for it."""

import json
from typing import Any

import pytest

from builders import small_run_spec
from cluster import Namespace, is_condition, is_phase, wait_until
from pretrain_local.operator_process import OperatorProcess
from tenant import Tenant

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Json = dict[str, Any]
QUEUE = "kueue.x-k8s.io/queue-name"
PRIORITY = "kueue.x-k8s.io/priority-class"
STEPS, MANY = 240, 900
"""Steps of a run, and of one that is to train still when others have come and gone."""


def labels(priority: str) -> dict[str, str]:
    return {QUEUE: "research", PRIORITY: priority}


def small_run(steps: int = STEPS, **changes: Any) -> Json:
    return {**small_run_spec(steps, save_every=20), **changes}


def has_checkpoint(item: Json) -> bool:
    return bool(item.get("status", {}).get("checkpoint", {}).get("step", 0) > 0)


def ends(item: Json) -> list[tuple[int, str]]:
    return [(one["number"], one.get("reason", "")) for one in item["status"]["attempts"]]


def stop_queue(team: Tenant, name: str, policy: str) -> None:
    patch = json.dumps({"spec": {"stopPolicy": policy}})
    team.namespace.kubectl("patch", "clusterqueue", name, "--type=merge", "--patch", patch)


def wait_for_end(namespace: Namespace, name: str) -> Json:
    ended = namespace.wait_for(
        "pretrainjob",
        name,
        lambda item: is_condition("Complete")(item) or is_condition("Failed")(item),
        300,
    )
    assert is_condition("Complete")(ended), ended["status"]["message"]
    return ended


def test_a_run_waits_in_its_queue_until_the_one_before_has_ended(team: Tenant) -> None:
    team.apply("PretrainJob", "first", small_run(), labels=labels("patient"))
    team.namespace.wait_for("pretrainjob", "first", is_phase("Running"), 120)
    team.apply("PretrainJob", "second", small_run(), labels=labels("patient"))
    queued = team.namespace.wait_for("pretrainjob", "second", is_phase("Queued"), 60)
    assert "is suspended by its queue until resources are available" in queued["status"]["message"]

    first = wait_for_end(team.namespace, "first")
    second = wait_for_end(team.namespace, "second")
    assert ends(first) == ends(second) == [(1, "complete")]
    assert second["status"]["attempts"][0]["startedAt"] >= first["status"]["attempts"][0]["endedAt"]


def test_a_preempted_run_saves_waits_and_goes_on(team: Tenant, operator: OperatorProcess) -> None:
    team.apply("PretrainJob", "low", small_run(MANY), labels=labels("patient"))
    team.namespace.wait_for("pretrainjob", "low", has_checkpoint, 120)
    team.apply("PretrainJob", "high", small_run(), labels=labels("urgent"))
    team.namespace.wait_for("pretrainjob", "high", is_phase("Running"), 120)
    waiting = team.namespace.wait_for("pretrainjob", "low", is_phase("Queued"), 60)
    assert waiting["status"]["checkpoint"]["step"] > 0

    high = wait_for_end(team.namespace, "high")
    low = wait_for_end(team.namespace, "low")
    assert ends(high) == ends(low) == [(1, "complete")]
    assert low["status"]["attempts"][0]["fromStep"] >= waiting["status"]["checkpoint"]["step"]
    assert low["status"]["summary"]["toStep"] == MANY


def test_a_queue_that_is_drained_and_a_killed_operator_cost_no_attempt(
    team: Tenant, operator: OperatorProcess
) -> None:
    queue = team.namespace.name
    team.apply("PretrainJob", "drained", small_run(MANY), labels=labels("patient"))
    team.namespace.wait_for("pretrainjob", "drained", has_checkpoint, 120)
    stop_queue(team, queue, "HoldAndDrain")
    operator.kill()
    operator.start()
    waiting = team.namespace.wait_for("pretrainjob", "drained", is_phase("Queued"), 60)
    stop_queue(team, queue, "None")
    drained = wait_for_end(team.namespace, "drained")
    assert ends(drained) == [(1, "complete")]
    assert drained["status"]["attempts"][0]["fromStep"] >= waiting["status"]["checkpoint"]["step"]


def test_a_run_in_a_queue_that_does_not_exist_waits_and_can_be_deleted(team: Tenant) -> None:
    team.apply("PretrainJob", "lost", small_run(), labels={QUEUE: "no-such-queue"})
    team.namespace.wait_for("pretrainjob", "lost", is_phase("Queued"), 60)
    team.namespace.delete("pretrainjob", "lost")
    wait_until(
        lambda: None if team.namespace.list("jobs", "pretrain.dev/name=lost") else True, "no Job"
    )


def test_a_suspended_run_leaves_its_place_to_others(team: Tenant) -> None:
    team.apply("PretrainJob", "long", small_run(MANY), labels=labels("patient"))
    team.namespace.wait_for("pretrainjob", "long", has_checkpoint, 120)
    team.apply("PretrainJob", "next", small_run(), labels=labels("patient"))
    team.namespace.wait_for("pretrainjob", "next", is_phase("Queued"), 60)
    team.apply("PretrainJob", "long", small_run(MANY, suspend=True), labels=labels("patient"))
    team.namespace.wait_for("pretrainjob", "long", is_condition("Suspended"), 60)
    wait_for_end(team.namespace, "next")

    team.apply("PretrainJob", "long", small_run(MANY, suspend=False), labels=labels("patient"))
    long = wait_for_end(team.namespace, "long")
    assert ends(long) == [(1, "suspended"), (2, "complete")]
    assert long["status"]["attempts"][1]["fromStep"] > 0
