"""The life of a release on a real cluster: the operator runs as pods of the chart's Deployment."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import pipeline_spec
from cluster import (
    Namespace,
    RunningCluster,
    is_condition,
    make_namespace,
    remove_namespace,
    run_cluster,
    wait_until,
)
from helm import CHART, Helm, HelmError
from tenant import Tenant

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

Json = dict[str, Any]

ACCOUNT = "../../var/run/secrets/kubernetes.io/serviceaccount"
"""Folder of a pod's token and CA, from that of the kubeconfig below."""

NO_NODE = {"room": "none"}
"""Labels that the node of the test has only when the test wants pods to run."""


@pytest.fixture(scope="module")
def fresh() -> Iterator[RunningCluster]:
    """Give a cluster that has never heard of our kinds."""
    with run_cluster() as cluster:
        yield cluster


class Release:
    """A release in a namespace of its own, whose pods find the API server on this machine.

    A container of the process node sees the machine's own `/var/run`, so it takes its token from
    a kubeconfig instead of the usual path.
    """

    def __init__(self, cluster: RunningCluster, folder: Path, name: str = "pretrain") -> None:
        self.system = make_namespace(cluster)
        self.helm = Helm(cluster.kubeconfig, self.system.name)
        self.name = name
        config = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
        server = config["clusters"][0]["cluster"]["server"]
        place = {"server": server, "certificate-authority": f"{ACCOUNT}/ca.crt"}
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "pod",
            "clusters": [{"name": "cluster", "cluster": place}],
            "users": [{"name": "account", "user": {"tokenFile": f"{ACCOUNT}/token"}}],
            "contexts": [{"name": "pod", "context": {"cluster": "cluster", "user": "account"}}],
        }
        text = json.dumps(kubeconfig)
        self.system.kubectl("create", "configmap", "kubeconfig", f"--from-literal=config={text}")
        values = {
            "extraEnv": [{"name": "KUBECONFIG", "value": "/pretrain/kubernetes/config"}],
            "extraVolumes": [{"name": "kubeconfig", "configMap": {"name": "kubeconfig"}}],
            "extraVolumeMounts": [{"name": "kubeconfig", "mountPath": "/pretrain/kubernetes"}],
        }
        self._values = folder / f"{name}.yaml"
        self._values.write_text(yaml.safe_dump(values), encoding="utf-8")

    def upgrade(self, *options: str, chart: Path = CHART, wait: bool = True) -> str:
        """Install or upgrade; return when the new pods are ready, unless told not to wait."""
        # The kinds of a release of another test are still there.
        given = (f"--values={self._values}", "--take-ownership", "--timeout=120s")
        options = (*options, *(["--wait"] if wait else []))
        return self.helm.run("upgrade --install", self.name, str(chart), *given, *options)

    def uninstall(self) -> None:
        """Remove the release; return when its pods are gone."""
        self.helm.run("uninstall", self.name, "--wait", "--timeout=120s")
        operators = "app.kubernetes.io/name=pretrain-operator"
        wait_until(lambda: not self.system.list("pods", operators) or None, "pods that end")

    def log(self) -> str:
        """Return what the operators have logged."""
        selector = "--selector=app.kubernetes.io/name=pretrain-operator"
        return self.system.kubectl("logs", selector, "--tail=-1")

    def remove(self) -> None:
        """Uninstall it, and delete its namespace."""
        self.uninstall()
        remove_namespace(self.system)


@pytest.fixture
def release(fresh: RunningCluster, tmp_path: Path) -> Iterator[Release]:
    """Give a release that is not installed yet."""
    made = Release(fresh, tmp_path)
    yield made
    made.remove()


@pytest.fixture
def team(fresh: RunningCluster) -> Iterator[Namespace]:
    """Give the namespace of a team."""
    made = make_namespace(fresh)
    yield made
    remove_namespace(made)


def test_a_release_lives_through_upgrade_rollback_removal_and_return(
    fresh: RunningCluster, release: Release, team: Namespace, tmp_path: Path
) -> None:
    old_chart = older_chart(tmp_path)
    release.upgrade(chart=old_chart)
    assert "an operator leads" in release.helm.run("test", release.name, "--logs")
    assert field(fresh, "maxBadFraction") is None

    tenant = Tenant(team, tmp_path)
    tenant.write_profile(nodeSelector=NO_NODE)
    tenant.write_documents()
    tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    job = wait_until(lambda: job_of(team), "a Job that waits for a node")

    release.upgrade()
    assert field(fresh, "maxBadFraction"), "the kinds are upgraded with the release"
    release.helm.run("rollback", release.name, "1", "--wait", "--timeout=120s")
    release.uninstall()
    assert job_of(team) == job, "work goes on without an operator"
    assert team.get("datapipeline", "documents"), "the kinds and their objects stay"

    release.upgrade()
    fresh.kubectl("label", "node", "--all", *(f"{key}={one}" for key, one in NO_NODE.items()))
    team.wait_for("datapipeline", "documents", is_condition("Ready"), 240)
    first = [one for one in team.list("jobs") if one["metadata"]["uid"] == job]
    assert first, "the Job of before is adopted, not made anew"
    assert "forbidden" not in release.log()
    tenant.remove()


def older_chart(folder: Path) -> Path:
    """Return a copy of the chart whose CRD of DataPipelines has a field less."""
    copy = folder / "older"
    shutil.copytree(CHART, copy)
    path = copy / "files/crds/datapipelines.yaml"
    crd = yaml.safe_load(path.read_text(encoding="utf-8"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["maxBadFraction"]
    rules = schema["properties"]["spec"].get("x-kubernetes-validations", [])
    assert not [rule for rule in rules if "maxBadFraction" in rule["rule"]]
    path.write_text(yaml.safe_dump(crd), encoding="utf-8")
    return copy


def field(cluster: RunningCluster, name: str) -> Json | None:
    """Return a field of the spec of the DataPipelines that the cluster serves."""
    text = cluster.kubectl("get", "crd", "datapipelines.pretrain.dev", "-o", "json")
    schema = json.loads(text)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    found: Json | None = schema["properties"]["spec"]["properties"].get(name)
    return found


def job_of(team: Namespace) -> str | None:
    """Return the UID of the one Job of a team."""
    jobs = team.list("jobs")
    return jobs[0]["metadata"]["uid"] if len(jobs) == 1 else None


def test_the_webhook_s_certificate_is_made_once(release: Release) -> None:
    # The process node cannot mount its Secret, so nobody answers to the webhook's address.
    release.upgrade("--set=webhook.enabled=true", wait=False)
    secret = release.system.get("secret", "pretrain-webhook")
    options = ("--set=webhook.enabled=true", "--set=commonLabels.round=two")
    release.upgrade(*options, wait=False)
    again = release.system.get("secret", "pretrain-webhook")
    assert secret is not None
    assert again is not None
    assert again["data"] == secret["data"]
    assert again["metadata"]["labels"]["round"] == "two"
    text = release.system.kubectl("get", "validatingwebhookconfiguration", "pretrain", "-o", "json")
    (webhook,) = json.loads(text)["webhooks"]
    assert webhook["clientConfig"]["caBundle"] == secret["data"]["ca.crt"]


def test_two_releases_each_reconcile_their_own_namespace(
    fresh: RunningCluster, tmp_path: Path
) -> None:
    releases, teams = [], []
    for index, name in enumerate(("first", "second")):
        team = make_namespace(fresh)
        one = Release(fresh, tmp_path, name)
        kinds = "true" if index == 0 else "false"
        one.upgrade(
            f"--set=watchNamespace={team.name}",
            "--set=replicas=1",
            f"--set=crds.enabled={kinds}",
        )
        releases.append(one)
        teams.append(team)
    outside = make_namespace(fresh)
    tenants = [Tenant(one, tmp_path) for one in (*teams, outside)]
    tenants[0].write_documents()
    for tenant in tenants:
        tenant.apply("DataPipeline", "documents", pipeline_spec(tasks=1))
    for team in teams:
        team.wait_for("datapipeline", "documents", is_condition("Ready"), 240)
    ignored = outside.get("datapipeline", "documents")
    assert ignored is not None
    assert "status" not in ignored
    for one in releases:
        assert "forbidden" not in one.log()
        one.remove()
    for tenant in tenants:
        tenant.remove()
        remove_namespace(tenant.namespace)


def test_profiles_come_with_the_second_release_and_its_images(release: Release) -> None:
    profile = (
        "--set=computeProfiles[0].name=boxes",
        "--set=computeProfiles[0].spec.accelerator.name=cpu",
        "--set=image.registry=registry.example.com/llm",
    )
    release.upgrade("--set=replicas=0")
    release.upgrade("--set=replicas=0", *profile)
    found = release.system.get("computeprofile", "boxes")
    assert found is not None
    assert found["spec"]["images"]["trainer"] == "registry.example.com/llm/pretrain-trainer:0.1.0"
    wrong = "--set=computeProfiles[0].spec.accelerator.perNode=-1"
    with pytest.raises(HelmError, match="perNode"):
        release.upgrade("--set=replicas=0", *profile, wrong)
