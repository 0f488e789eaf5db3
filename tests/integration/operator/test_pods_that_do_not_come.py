"""Pods that cannot be created or scheduled: the remedy is reported, and removes the obstacle."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from builders import pipeline_spec
from cluster import condition, is_condition
from tenant import Tenant

pytestmark = pytest.mark.integration

Json = dict[str, Any]


@dataclass(frozen=True)
class Obstacle:
    """Something that keeps pods from running."""

    create: Callable[[Tenant], object]
    remove: Callable[[Tenant], object]
    message: str
    remedy: str


def kubectl(*arguments: str) -> Callable[[Tenant], object]:
    return lambda tenant: tenant.namespace.kubectl(*arguments)


def label(value: str) -> Callable[[Tenant], object]:
    """Return a function that labels the namespace with a level of Pod Security."""

    def do(tenant: Tenant) -> None:
        name = tenant.namespace.name
        flag = f"pod-security.kubernetes.io/enforce={value}"
        tenant.namespace.kubectl("label", "namespace", name, flag, "--overwrite")

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
    "a missing ServiceAccount": Obstacle(
        lambda tenant: tenant.write_profile(serviceAccountName="absent"),
        kubectl("create", "serviceaccount", "absent"),
        'serviceaccount "absent" not found',
        "create that ServiceAccount",
    ),
    "a missing node": Obstacle(
        lambda tenant: tenant.write_profile(nodeSelector={"nowhere": "true"}),
        lambda tenant: tenant.write_profile(),
        "didn't match Pod's node affinity/selector",
        "spec.pods.nodeSelector of the ComputeProfile",
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_an_obstacle_is_reported_with_the_remedy_which_removes_it(
    tenant: Tenant, name: str
) -> None:
    obstacle = OBSTACLES[name]
    tenant.write_documents()
    obstacle.create(tenant)
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    namespace = tenant.namespace
    waiting = namespace.wait_for("datapipeline", "documents", partial(waits_for, obstacle.message))
    match = condition(waiting, "Reconciling")
    assert match is not None
    assert obstacle.message in match["message"]
    assert obstacle.remedy in match["message"]

    obstacle.remove(tenant)
    namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 240)


def waits_for(message: str, item: Json) -> bool:
    match = condition(item, "Ready")
    return (
        match is not None
        and (match["status"], match["reason"]) == ("False", "WaitingForPods")
        and message in item["status"]["message"]
    )
