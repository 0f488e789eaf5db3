import json
from collections.abc import Callable
from typing import Any

import pytest

from builders import (
    DIGEST,
    artifact,
    gpu_profile_spec,
    make_object,
    make_observed_run,
    parsed_pipeline,
    parsed_profile,
    parsed_run,
    profile_spec,
)
from pretrain_api.rules import check
from pretrain_api.runs import OpenedArtifact, PipelineRun, TrainingRun
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus
from pretrain_operator.build.children import build_children
from pretrain_operator.build.stage_job import build_stage
from pretrain_operator.plan.data.chains import plan_chain
from pretrain_operator.plan.data.objects import DataObject
from pretrain_operator.plan.names import attempt_job_name
from pretrain_operator.plan.placement import Placement, plan_placement
from pretrain_operator.plan.plans import AttemptJob
from pretrain_operator.plan.runs.observed_run import ObservedRun
from pretrain_operator.plan.runs.run_inputs import OpenedInputs
from pretrain_operator.plan.runs.training_run import training_run

Snapshot = Callable[[str, list[Any]], None]

S3 = {"credentialsSecretRef": {"name": "s3"}}
OPENED = OpenedInputs(
    OpenedArtifact(uri="s3://b/blocks", digest=DIGEST, credentials_secret="s3"),
    OpenedArtifact(uri="s3://b/tokens", digest=DIGEST[::-1]),
)


def stage(name: str) -> list[dict[str, Any]]:
    owner = make_object("DataPipeline", "documents")
    source = {"name": "web", "uri": "s3://raw/*.jsonl", "credentialsSecretRef": {"name": "raw"}}
    spec = parsed_pipeline(sources=[source], output={"uri": "s3://corpus", **S3}, parallelism=1)
    chain = plan_chain(DataObject(owner, spec, {}), plan_placement(parsed_profile(), "data"))
    return [*build_stage(owner, chain.job(name, artifact()))]


def attempt(profile: dict[str, Any], **labels: str) -> list[dict[str, Any]]:
    owner = make_object("PretrainJob", "llama", labels=labels)
    job = attempt_job(make_observed_run(owner), ComputeProfileSpec.model_validate(profile), 2)
    return [*build_children(owner, job)]


def attempt_job(run: ObservedRun, profile: ComputeProfileSpec, number: int) -> AttemptJob:
    name = attempt_job_name(run.owner.key.name, number)
    return AttemptJob(
        name=name,
        run=training_run(run, profile, OPENED, number),
        placement=plan_placement(profile, "trainer"),
        secrets=("s3",),
        status=AttemptStatus(number=number, job=name),
    )


def pods(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = manifests[-1]["spec"]["template"]["spec"]
    return spec


def without_document(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return manifests without the document of pods, which changes with every field of the API."""
    (name,) = [m["metadata"]["name"] for m in manifests if "data" in m]
    bare = [{**m, "data": sorted(m["data"])} if "data" in m else m for m in manifests]
    text = json.dumps(bare).replace(name, f"{manifests[-1]['metadata']['name']}-digest")
    parsed: list[dict[str, Any]] = json.loads(text)
    return parsed


def test_the_job_of_a_stage(assert_snapshot: Snapshot) -> None:
    assert_snapshot("data_stage", without_document(stage("prepare")))


def test_an_attempt_on_two_cpu_nodes(assert_snapshot: Snapshot) -> None:
    assert_snapshot("attempt_on_cpus", without_document(attempt(profile_spec())))


def test_an_attempt_on_gpus(assert_snapshot: Snapshot) -> None:
    assert_snapshot("attempt_on_gpus", without_document(attempt(gpu_profile_spec())))


def test_the_document_of_pods_can_be_parsed() -> None:
    document = stage("prepare")[0]["data"]["spec.json"]
    assert PipelineRun.model_validate_json(document).artifact == artifact()
    document = attempt(profile_spec())[1]["data"]["spec.json"]
    assert TrainingRun.model_validate_json(document).attempt == 2


def test_an_edited_spec_has_its_own_config_map() -> None:
    owner = make_object("PretrainJob", "l" * 80)
    names = set()
    for spec in (parsed_run(), parsed_run(recovery={"budgets": {"user": {"max": 7}}})):
        run = make_observed_run(owner, spec)
        _, config_map, job = build_children(owner, attempt_job(run, ComputeProfileSpec(), 99_999))
        name = config_map["metadata"]["name"]
        assert len(name) <= 63
        assert pods([job])["volumes"][0]["configMap"]["name"] == name
        assert job["metadata"]["annotations"]["pretrain.dev/config-map"] == name
        names.add(name)
    assert len(names) == 2


@pytest.mark.parametrize("manifests", [stage("list"), attempt(gpu_profile_spec())])
def test_every_child_is_owned_and_labelled(manifests: list[dict[str, Any]]) -> None:
    for manifest in manifests:
        (owner,) = manifest["metadata"]["ownerReferences"]
        assert owner["controller"] is True
        assert manifest["metadata"]["labels"]["pretrain.dev/name"] == owner["name"]
        assert manifest["metadata"]["labels"]["pretrain.dev/kind"] == owner["kind"].lower()


@pytest.mark.parametrize("manifests", [stage("list"), attempt(gpu_profile_spec())])
def test_pods_have_no_kubernetes_credentials_and_no_privileges(
    manifests: list[dict[str, Any]],
) -> None:
    spec = pods(manifests)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["securityContext"]["runAsNonRoot"] is True
    (container,) = spec["containers"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_on_nodes_without_devices_everything_is_mounted_below_pretrain() -> None:
    for manifests in (stage("list"), attempt(profile_spec())):
        (container,) = pods(manifests)["containers"]
        for mount in container["volumeMounts"]:
            assert mount["mountPath"].startswith("/pretrain/")


def test_gpu_pods_get_shared_memory_and_their_devices() -> None:
    (container,) = pods(attempt(gpu_profile_spec()))["containers"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "8"


NETWORK = {
    "resources": {"rdma/hca": 8},
    "annotations": {"k8s.v1.cni.cncf.io/networks": "rail-0"},
    "topologyKeys": ["example.com/rack", "example.com/block"],
}


def test_training_pods_get_their_network_cards_and_stay_close_together() -> None:
    owner = make_object("PretrainJob", "llama")
    run = make_observed_run(owner, parsed_run(parallelism={"nodes": 2, "gpusPerNode": 8}))
    profile = ComputeProfileSpec.model_validate(gpu_profile_spec(network=NETWORK))
    job = build_children(owner, attempt_job(run, profile, 2))[-1]
    template = job["spec"]["template"]
    assert template["metadata"]["annotations"] == NETWORK["annotations"]
    spec = template["spec"]
    assert spec["containers"][0]["resources"]["limits"]["rdma/hca"] == "8"
    assert spec["containers"][0]["resources"]["requests"]["rdma/hca"] == "8"
    terms = spec["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    keys = [(term["weight"], term["podAffinityTerm"]["topologyKey"]) for term in terms]
    assert keys == [(100, "example.com/rack"), (50, "example.com/block")]
    labels = terms[0]["podAffinityTerm"]["labelSelector"]["matchLabels"]
    assert labels.items() <= template["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("cpu", 'spec.network.resources: ["cpu"] are no extended resources, such as rdma/hca'),
        ("nvidia.com/gpu", "spec.network.resources: 'nvidia.com/gpu' is accelerator.resource, of"),
    ],
)
def test_a_profile_cannot_change_what_else_a_pod_requests(name: str, want: str) -> None:
    spec = gpu_profile_spec(network={"resources": {name: 4}})
    (problem,) = check("ComputeProfile", spec)
    assert want in str(problem)


def test_data_pods_need_no_network_cards() -> None:
    profile = ComputeProfileSpec.model_validate(gpu_profile_spec(network=NETWORK))
    placement = plan_placement(profile, "data")
    assert (placement.network_resources, placement.annotations) == ({}, {})


def test_with_a_queue_label_the_job_is_created_suspended() -> None:
    job = attempt(profile_spec(), **{"kueue.x-k8s.io/queue-name": "research"})[-1]
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"


def test_without_a_queue_label_the_field_suspend_is_not_set() -> None:
    assert "suspend" not in attempt(profile_spec())[-1]["spec"]


def test_a_claim_may_be_mounted_read_only() -> None:
    volume = {
        "name": "raw",
        "mountPath": "/pretrain/raw",
        "persistentVolumeClaim": "raw",
        "readOnly": True,
    }
    placement: Placement = plan_placement(
        ComputeProfileSpec.model_validate({"pods": {"volumes": [volume]}}), "data"
    )
    owner = make_object("DataPipeline", "documents")
    chain = plan_chain(DataObject(owner, parsed_pipeline(), {}), placement)
    (_, job) = build_stage(owner, chain.job("list", None))
    spec = pods([job])
    assert spec["volumes"][-1]["persistentVolumeClaim"] == {"claimName": "raw", "readOnly": True}
    assert spec["containers"][0]["volumeMounts"][-1]["readOnly"] is True


def test_scratch_is_requested_and_limited_if_the_profile_sets_it() -> None:
    profile = profile_spec(pods={"trainer": {"scratch": "20Gi"}})
    spec = pods(attempt(profile))
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["scratch"]["emptyDir"] == {"sizeLimit": "20Gi"}
    (container,) = spec["containers"]
    assert container["resources"] == {"requests": {"ephemeral-storage": "20Gi"}}


def test_scratch_is_not_limited_unless_the_profile_sets_it() -> None:
    spec = pods(attempt(profile_spec()))
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["scratch"]["emptyDir"] == {}
    assert "ephemeral-storage" not in spec["containers"][0]["resources"].get("requests", {})
