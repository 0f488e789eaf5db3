"""Pods that nobody may create, or that no node takes: told with what would do, healed by it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from builders import pipeline_spec
from cluster import condition, is_condition
from workplace import Workplace

pytestmark = pytest.mark.integration

Json = dict[str, Any]


@dataclass(frozen=True)
class Obstacle:
    """Something that keeps pods from running."""

    raise_it: Callable[[Workplace], object]
    remove_it: Callable[[Workplace], object]
    said: str
    remedy: str


def kubectl(*arguments: str) -> Callable[[Workplace], object]:
    return lambda workplace: workplace.namespace.kubectl(*arguments)


def label(value: str) -> Callable[[Workplace], object]:
    """Return what labels the namespace with a level of Pod Security."""

    def do(workplace: Workplace) -> None:
        name = workplace.namespace.name
        flag = f"pod-security.kubernetes.io/enforce={value}"
        workplace.namespace.kubectl("label", "namespace", name, flag, "--overwrite")

    return do


OBSTACLES = {
    "a quota": Obstacle(
        kubectl("create", "quota", "tight", "--hard=pods=0"),
        kubectl("delete", "quota", "tight"),
        "exceeded quota: tight",
        "raise the ResourceQuota",
    ),
    "Pod Security": Obstacle(
        label("baseline"),
        label("privileged"),
        "violates PodSecurity",
        "pod-security.kubernetes.io/enforce",
    ),
    "a ServiceAccount that is not there": Obstacle(
        lambda workplace: workplace.write_profile(serviceAccountName="absent"),
        kubectl("create", "serviceaccount", "absent"),
        'serviceaccount "absent" not found',
        "create that ServiceAccount",
    ),
    "a node that is not there": Obstacle(
        lambda workplace: workplace.write_profile(nodeSelector={"nowhere": "true"}),
        lambda workplace: workplace.write_profile(),
        "didn't match Pod's node affinity/selector",
        "spec.pods.nodeSelector of the ComputeProfile",
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_an_obstacle_is_told_with_what_would_do_and_healed_by_it(
    workplace: Workplace, name: str
) -> None:
    obstacle = OBSTACLES[name]
    workplace.write_documents()
    obstacle.raise_it(workplace)
    workplace.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    namespace = workplace.namespace
    waiting = namespace.wait_for("datapipeline", "documents", partial(waits_for, obstacle.said))
    found = condition(waiting, "Reconciling")
    assert found is not None
    assert obstacle.said in found["message"]
    assert obstacle.remedy in found["message"]

    obstacle.remove_it(workplace)
    namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 240)


def waits_for(said: str, item: Json) -> bool:
    found = condition(item, "Ready")
    return (
        found is not None
        and (found["status"], found["reason"]) == ("False", "WaitingForPods")
        and said in item["status"]["message"]
    )
