"""What the chart renders: accepted by a real API server, as reviewed, and never with a typo."""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart_values import VALUES
from cluster import Namespace, RunningCluster
from helm import CHART, Helm, HelmError

pytestmark = pytest.mark.integration

Json = dict[str, Any]
SNAPSHOTS = Path(__file__).parent / "snapshots"

FOREIGN = {
    "monitoring.coreos.com": ("PodMonitor", "PrometheusRule"),
    "cert-manager.io": ("Certificate",),
}
"""Kinds of others that the chart may create. Tests know their names, not their schemas."""


def rendered(name: str, tmp_path: Path, namespace: str = "pretrain-system") -> list[Json]:
    """Return the manifests of a set of values; without their certificates, which are random."""
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(VALUES[name]), encoding="utf-8")
    kinds = "--api-versions=pretrain.dev/v1alpha1"
    return Helm(namespace=namespace).template(f"--values={values}", kinds)


@pytest.fixture(scope="module")
def foreign_kinds(local_cluster: RunningCluster) -> Iterator[None]:
    """Give a cluster that serves the kinds of others, with any content."""
    manifests = [
        foreign_crd(group, kind, "v1") for group, kinds in FOREIGN.items() for kind in kinds
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    local_cluster.install_crds()
    local_cluster.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    names = [f"crd/{manifest['metadata']['name']}" for manifest in manifests]
    local_cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    yield
    local_cluster.kubectl("delete", "-f", "-", "--wait=false", stdin=text)


def foreign_crd(group: str, kind: str, version: str) -> Json:
    """Return a CRD that accepts any object of its kind."""
    plural = f"{kind.lower()}s"
    content = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": content},
                }
            ],
        },
    }


@pytest.mark.parametrize("name", VALUES)
def test_every_manifest_is_accepted_and_every_pod_is_restricted(
    name: str, foreign_kinds: None, namespace: Namespace, tmp_path: Path
) -> None:
    manifests = rendered(name, tmp_path, namespace.name)
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    namespace.cluster.kubectl("label", "namespace", namespace.name, enforce)
    namespace.kubectl("create", "serviceaccount", "ours")
    manifests += [pod_of(manifest) for manifest in manifests if manifest["kind"] == "Deployment"]
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "Pod" and "serviceAccountName" in spec:
            del spec["serviceAccountName"]  # in a dry run none of the others exists
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    options = ("--dry-run=server", "--server-side", "--validate=strict", "--force-conflicts")
    accepted = namespace.cluster.kubectl("apply", *options, "-f", "-", stdin=text)
    assert len(accepted.splitlines()) == len(manifests)


def pod_of(deployment: Json) -> Json:
    """Return a pod of a Deployment: unlike the Deployment, it is refused unless restricted."""
    metadata = {**deployment["metadata"], "labels": {}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": deployment["spec"]["template"]["spec"],
    }


@pytest.mark.parametrize("name", VALUES)
def test_the_chart_renders_what_was_reviewed(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    text = as_lines(rendered(name, tmp_path))
    if name != "default":  # only what differs: that is what a reader reviews
        default = as_lines(rendered("default", tmp_path))
        text = list(difflib.unified_diff(default, text, "default", name, n=1, lineterm=""))
    path = SNAPSHOTS / f"{name}.{'yaml' if name == 'default' else 'diff'}"
    if request.config.getoption("--update-snapshots"):
        path.write_text("\n".join(text) + "\n", encoding="utf-8")
    assert text == path.read_text(encoding="utf-8").splitlines()


def as_lines(manifests: Sequence[Json]) -> list[str]:
    """Return manifests as YAML, without common labels, the text of files, and what is random."""
    for manifest in manifests:
        labels = manifest["metadata"]["labels"]
        manifest["metadata"]["labels"] = {
            key: value
            for key, value in labels.items()
            if not key.startswith(("app.kubernetes.io/", "helm.sh/"))
        }
        if manifest["kind"] == "CustomResourceDefinition":
            manifest["spec"] = "…"
        elif manifest["kind"] in ("Secret", "ConfigMap"):
            manifest["data"] = dict.fromkeys(manifest["data"], "…")
        elif manifest["kind"] == "PrometheusRule":
            manifest["spec"] = "…"
        elif manifest["kind"] == "ValidatingWebhookConfiguration":
            for webhook in manifest["webhooks"]:
                webhook["clientConfig"] = {**webhook["clientConfig"], "caBundle": "…"}
        elif manifest["kind"] == "Pod":
            manifest["spec"]["containers"][0]["args"] = "…"
    style: Json = {"default_flow_style": None, "width": 140}
    text: Any = yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True, **style)
    return [*text.splitlines()]


def test_every_object_has_the_recommended_labels_and_selectors_have_none_that_change(
    tmp_path: Path,
) -> None:
    recommended = {"name", "instance", "version", "component", "part-of", "managed-by"}
    for manifest in rendered("everything", tmp_path):
        labels = manifest["metadata"]["labels"]
        assert {f"app.kubernetes.io/{one}" for one in recommended} <= set(labels), manifest
        assert labels["helm.sh/chart"].startswith("pretrain-operator-")
        if manifest["kind"] == "Deployment":
            selected = set(manifest["spec"]["selector"]["matchLabels"])
            assert selected == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}


REFUSED = {
    "webhok.enabled=true": "webhok",
    "webhook.failurePolicy=Maybe": "failurePolicy",
    "replicas=-1": "replicas",
    "replicas=two": "replicas",
    "image.digest=abc": "digest",
    "image.pullSecrets[0]=registry": "pullSecrets",
    "watchNamespace=Team_A": "watchNamespace",
    "computeProfiles[0].nam=h100": "computeProfiles",
    "monitoring.podMonitors.interval=often": "interval",
    "monitoring.dashbord.enabled=true": "dashbord",
    # What would quietly break a selector, the Lease or a name:
    r"podLabels.app\.kubernetes\.io/instance=x": "podLabels",
    r"commonLabels.app\.kubernetes\.io/name=x": "commonLabels",
    "env.POD_NAME=x": "env",
    "fullnameOverride=Bad_Name": "fullnameOverride",
    "image.registry=https://registry.example.com": "registry",
}


@pytest.mark.parametrize(("option", "named"), REFUSED.items())
def test_a_wrong_value_is_refused_by_its_name(option: str, named: str) -> None:
    with pytest.raises(HelmError, match=named):
        Helm().template(f"--set={option}")


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (
            ("webhook.enabled=true", "webhook.certificate.secretName=ours"),
            "secretName is set without caBundle",
        ),
        (
            ("computeProfiles[0].name=a", "computeProfiles[0].spec.accelerator.name=cpu"),
            "install without them first",
        ),
    ],
)
def test_values_that_cannot_work_together_are_refused_with_what_would(
    options: Sequence[str], advice: str
) -> None:
    with pytest.raises(HelmError, match=advice):
        Helm().template(*(f"--set={option}" for option in options))


def test_the_chart_has_no_complaint_of_helm_s_linter() -> None:
    printed = Helm().run("lint", str(CHART), "--strict", *("--set", "webhook.enabled=true"))
    assert "0 chart(s) failed" in printed
    assert "[WARNING]" not in printed


def test_values_and_schema_name_the_same_fields(tmp_path: Path) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def compare(schema: Json, values: Json, path: str) -> None:
        if "additionalProperties" in schema and schema["additionalProperties"] is False:
            fields = set(schema["properties"]) - {"global", "claims"}
            assert fields == set(values), path
            for name in fields:
                child = values[name]
                if isinstance(child, dict):
                    compare(schema["properties"][name], child, f"{path}.{name}")

    compare(schema, values, "")


def test_the_notes_say_what_to_do_next(local_cluster: RunningCluster) -> None:
    render: Callable[..., str] = Helm(local_cluster.kubeconfig).run
    registry = "--set=image.registry=registry.example.com/llm"
    options = ("--dry-run=client", registry, "--set=crds.enabled=false")
    notes = render("install", "pretrain", str(CHART), *options).split("NOTES:")[1]
    assert "helm test pretrain --namespace pretrain-system" in notes
    (profile,) = re.findall(r"apiVersion: pretrain.dev.*?trainer: \S+", notes, re.DOTALL)
    parsed = yaml.safe_load(re.sub(r"^     ", "", profile, flags=re.MULTILINE))
    assert parsed["spec"]["images"] == {
        "data": "registry.example.com/llm/pretrain-data:0.1.0",
        "trainer": "registry.example.com/llm/pretrain-trainer:0.1.0",
    }
