"""Children on a real API server: foreign objects are neither changed nor deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from kubernetes.aio import config
from kubernetes.aio.dynamic import DynamicClient

from builders import make_object, pipeline_spec
from cluster import Namespace, condition, is_condition, wait_until
from pretrain_local.operator_process import OperatorProcess
from pretrain_operator.build.metadata import build_metadata
from pretrain_operator.build.service import build_service
from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.cluster import Cluster
from pretrain_operator.cluster.progress import ProgressReader
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.annotations import CONFIG_MAP_ANNOTATION
from pretrain_operator.observed.errors import NameConflict
from pretrain_operator.observed.objects import Key, ObservedObject
from tenant import Tenant

pytestmark = pytest.mark.integration

Json = dict[str, Any]
OWNED = "pretrain.dev/name=documents"


@pytest.fixture
def owner(namespace: Namespace) -> ObservedObject:
    """Give an owner that exists: its children would be garbage collected otherwise."""
    namespace.kubectl("create", "configmap", "owner")
    return owner_of(namespace, "owner")


def owner_of(namespace: Namespace, name: str) -> ObservedObject:
    uid = (namespace.get("configmap", name) or {})["metadata"]["uid"]
    made = make_object("PretrainJob", name, uid=uid)
    return replace(made, key=Key("PretrainJob", namespace.name, name))


def child(owner: ObservedObject, kind: str, name: str, **fields: Any) -> Json:
    """Return a child whose owner is the ConfigMap that `owner` stands for."""
    metadata = build_metadata(owner, name)
    metadata["ownerReferences"][0] |= {"apiVersion": "v1", "kind": "ConfigMap"}
    version = "batch/v1" if kind == "Job" else "v1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def suspended_job(owner: ObservedObject, name: str) -> Json:
    """Return a suspended Job, which has no pods."""
    container = {"name": "main", "image": "none"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return child(owner, "Job", name, spec={"suspend": True, "template": template})


def with_cluster[T](namespace: Namespace, action: Callable[[Cluster], Awaitable[T]]) -> T:
    """Return the result of `action` with the operator's own client."""

    async def run() -> T:
        kubeconfig = str(namespace.cluster.kubeconfig)
        async with await config.new_client_from_config(kubeconfig) as client:
            api = Api(DynamicClient(client))
            store = Store(lambda key, with_dependents: None)
            return await action(Cluster(api, store, ProgressReader(api, True)))

    return asyncio.run(run())


def service_of(owner: ObservedObject) -> Json:
    made = build_service(owner)
    return {**made, "metadata": child(owner, "Service", made["metadata"]["name"])["metadata"]}


def test_a_service_of_ours_is_updated(namespace: Namespace, owner: ObservedObject) -> None:
    service = service_of(owner)
    with_cluster(namespace, lambda cluster: cluster.apply(owner, service))
    before = namespace.get("service", "owner-pods")
    changed = {**service, "spec": {**service["spec"], "publishNotReadyAddresses": False}}
    with_cluster(namespace, lambda cluster: cluster.apply(owner, changed))
    after = namespace.get("service", "owner-pods")
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert not after["spec"].get("publishNotReadyAddresses")


def test_a_job_of_ours_is_not_changed(namespace: Namespace, owner: ObservedObject) -> None:
    job = suspended_job(owner, "owner-a1")
    with_cluster(namespace, lambda cluster: cluster.apply(owner, job))
    before = namespace.get("job", "owner-a1")
    with_cluster(
        namespace,
        lambda cluster: cluster.apply(owner, {**job, "spec": {**job["spec"], "suspend": False}}),
    )
    assert namespace.get("job", "owner-a1") == before


@pytest.mark.parametrize("kind", ["ConfigMap", "Service", "Job"])
def test_a_foreign_object_is_not_changed_and_is_reported(
    namespace: Namespace, owner: ObservedObject, kind: str
) -> None:
    namespace.kubectl("create", "configmap", "another")
    other = owner_of(namespace, "another")
    makers: dict[str, Callable[[ObservedObject], Json]] = {
        "ConfigMap": lambda who: child(who, "ConfigMap", "owner-pods", data={"whose": who.uid}),
        "Service": lambda who: {
            **service_of(who),
            "metadata": child(who, "Service", "owner-pods")["metadata"],
        },
        "Job": lambda who: suspended_job(who, "owner-pods"),
    }
    make = makers[kind]
    namespace.apply(make(other))
    before = namespace.get(kind, "owner-pods")
    with pytest.raises(NameConflict) as raised:
        with_cluster(namespace, lambda cluster: cluster.apply(owner, make(owner)))
    assert raised.value.kind == kind
    assert namespace.get(kind, "owner-pods") == before


def test_a_job_that_replaced_ours_under_the_same_name_is_not_deleted(
    namespace: Namespace, owner: ObservedObject
) -> None:
    job = suspended_job(owner, "owner-a1")

    async def delete_late(cluster: Cluster) -> None:
        await cluster.apply(owner, job)
        namespace.delete("job", "owner-a1")
        namespace.apply(suspended_job(owner, "owner-a1"))
        await cluster.delete_jobs(owner, ["owner-a1"])

    with_cluster(namespace, delete_late)
    job_now = namespace.get("job", "owner-a1")
    assert job_now is not None
    assert "deletionTimestamp" not in job_now["metadata"]


def test_a_config_map_that_is_not_ours_is_not_deleted_with_a_job_that_names_it(
    namespace: Namespace, owner: ObservedObject
) -> None:
    namespace.kubectl("create", "configmap", "precious")
    config_map = child(owner, "ConfigMap", "ours")
    first, second = suspended_job(owner, "owner-a1"), suspended_job(owner, "owner-a2")
    first["metadata"]["annotations"] = {CONFIG_MAP_ANNOTATION: "precious"}
    second["metadata"]["annotations"] = {CONFIG_MAP_ANNOTATION: "ours"}

    async def make_and_delete(cluster: Cluster) -> None:
        await cluster.apply(owner, config_map, first, second)
        await cluster.delete_jobs(owner, ["owner-a1", "owner-a2"])

    with_cluster(namespace, make_and_delete)
    assert namespace.get("configmap", "precious") is not None
    assert namespace.get("configmap", "ours") is None


def test_name_conflicts_are_reported_and_end_when_the_foreign_objects_are_deleted(
    tenant: Tenant, operator: OperatorProcess
) -> None:
    namespace = tenant.namespace
    tenant.write_documents()
    tenant.write_profile(nodeSelector={"nowhere": "true"})
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    (job,) = wait_until(lambda: namespace.list("jobs", OWNED) or None, "a Job")
    config_map = job["metadata"]["annotations"][CONFIG_MAP_ANNOTATION]
    operator.kill()
    name = job["metadata"]["name"]
    namespace.delete("job", name)
    namespace.delete("configmap", config_map)
    namespace.kubectl("create", "configmap", config_map, "--from-literal=precious=1")
    namespace.kubectl("create", "job", name, "--image=none")
    tenant.write_profile()
    operator.start()
    for kind, taken in (("ConfigMap", config_map), ("Job", name)):
        before = namespace.get(kind, taken)
        assert before is not None
        stalled = namespace.wait_for("datapipeline", "documents", partial(_is_taken, kind))
        match = condition(stalled, "Stalled")
        assert match is not None
        assert f"{kind} {taken} in namespace {namespace.name} is not ours" in match["message"]
        assert "delete or rename" in match["message"]
        after = namespace.get(kind, taken)
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["metadata"].get("ownerReferences") is None
        assert after.get("data") == before.get("data")
        namespace.delete(kind, taken)
    namespace.wait_for("datapipeline", "documents", is_condition("Ready"), 180)


def _is_taken(kind: str, item: Json) -> bool:
    match = condition(item, "Stalled")
    return (
        match is not None and match["reason"] == "NameTaken" and f"{kind} " in match["message"][:10]
    )
