"""Children of any owner on any profile: what a profile may decide, and what it never may."""

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import DIGEST, make_object, make_observed_run, parsed_pipeline, parsed_run
from pretrain_api import paths
from pretrain_api.runs import OpenedArtifact
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus
from pretrain_operator.build.children import build_children
from pretrain_operator.observed.annotations import CONFIG_MAP_ANNOTATION, PLACEMENT_ANNOTATION
from pretrain_operator.observed.jobs import parse_job
from pretrain_operator.plan.data.chains import plan_chain
from pretrain_operator.plan.data.objects import DataObject
from pretrain_operator.plan.names import attempt_job_name
from pretrain_operator.plan.placement import plan_placement
from pretrain_operator.plan.plans import AttemptJob, StageJob
from pretrain_operator.plan.runs.run_inputs import OpenedInputs
from pretrain_operator.plan.runs.training_run import training_run

Json = dict[str, Any]

LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")

POD_FIELDS = {
    "restartPolicy",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "terminationGracePeriodSeconds",
    "securityContext",
    "containers",
    "volumes",
    "subdomain",
    "serviceAccountName",
    "priorityClassName",
    "nodeSelector",
    "tolerations",
    "topologySpreadConstraints",
    "affinity",
    "imagePullSecrets",
}
"""All fields of a pod that we set: none of hostNetwork, hostPID, initContainers, …"""

names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=10)
quantities = st.sampled_from(["1", "4Gi", "500M", "1.5Gi"])
resources = st.fixed_dictionaries(
    {},
    optional={"cpu": st.sampled_from(["1", "500m"]), "memory": quantities, "scratch": quantities},
)
sources = st.one_of(
    st.fixed_dictionaries({"persistentVolumeClaim": names}),
    st.fixed_dictionaries({"hostPath": st.sampled_from(["/", "/srv/data", "/var/run"])}),
)
volumes = st.lists(
    st.builds(
        lambda name, folder, source, rest: {
            "name": name,
            "mountPath": f"/pretrain/v-{folder}",
            **source,
            **rest,
        },
        names,
        st.sampled_from("abcdef"),
        sources,
        st.fixed_dictionaries({}, optional={"readOnly": st.booleans()}),
    ),
    max_size=3,
    unique_by=lambda volume: volume["mountPath"],
)
tolerations = st.lists(
    st.dictionaries(
        st.sampled_from(["key", "operator", "hostNetwork", "privileged", "serviceAccountToken"]),
        st.booleans() | texts,
    ),
    max_size=2,
)
profiles = st.fixed_dictionaries(
    {},
    optional={
        "accelerator": st.fixed_dictionaries(
            {"perNode": st.integers(1, 8)},
            optional={"resource": st.sampled_from(["nvidia.com/gpu", "amd.com/gpu"])},
        ),
        "network": st.fixed_dictionaries(
            {},
            optional={
                "resources": st.dictionaries(st.sampled_from(["rdma/hca"]), st.integers(1, 8)),
                "annotations": st.dictionaries(st.sampled_from(["a.b/networks"]), texts),
                "topologyKeys": st.lists(st.sampled_from(["rack", "a.b/block"]), max_size=4),
            },
        ),
        "images": st.fixed_dictionaries(
            {}, optional={"pullSecrets": st.lists(names, max_size=2), "data": st.just("x:1")}
        ),
        "pods": st.fixed_dictionaries(
            {},
            optional={
                "env": st.dictionaries(st.sampled_from(["NCCL_DEBUG", "LANG", "A"]), texts),
                "nodeSelector": st.dictionaries(st.sampled_from(["zone", "gpu"]), texts),
                "tolerations": tolerations,
                "volumes": volumes,
                "data": resources,
                "trainer": resources,
                "serviceAccountName": names,
                "priorityClassName": names,
            },
        ),
    },
).map(ComputeProfileSpec.model_validate)
secrets = st.lists(names, max_size=3, unique=True).map(tuple)
queues = st.sampled_from([{}, {"kueue.x-k8s.io/queue-name": "research"}, {"team": "a"}])


def stage_job(profile: ComputeProfileSpec, secrets: tuple[str, ...]) -> StageJob:
    output: Json = {"uri": "s3://corpus"}
    web: Json = {"name": "web", "uri": "s3://raw/*.jsonl"}
    for location, secret in zip((output, web), secrets, strict=False):
        location["credentialsSecretRef"] = {"name": secret}
    spec = parsed_pipeline(output=output, sources=[web])
    item = DataObject(make_object("DataPipeline"), spec, {})
    return plan_chain(item, plan_placement(profile, "data")).job("list", None)


def attempt_job(
    owner: Any, profile: ComputeProfileSpec, secrets: tuple[str, ...], number: int
) -> AttemptJob:
    name = attempt_job_name(owner.key.name, number)
    opened = OpenedInputs(
        OpenedArtifact(uri="s3://b/blocks", digest=DIGEST),
        OpenedArtifact(uri="s3://b/tokens", digest=DIGEST[::-1]),
    )
    run = training_run(make_observed_run(owner, parsed_run()), profile, opened, number)
    status = AttemptStatus(number=number, job=name)
    return AttemptJob(name, run, plan_placement(profile, "trainer"), secrets, status)


@st.composite
def children(draw: st.DrawFn) -> tuple[Any, StageJob | AttemptJob, tuple[Json, ...]]:
    """Give an owner, the Job that its plan creates, and the manifests for it."""
    profile, mounted, name = draw(profiles), draw(secrets), draw(names)
    if draw(st.booleans()):
        owner = make_object("DataPipeline", name)
        job: StageJob | AttemptJob = stage_job(profile, mounted[:2])
        return owner, job, build_children(owner, job)
    owner = make_object("PretrainJob", name, labels=draw(queues))
    job = attempt_job(owner, profile, mounted, draw(st.integers(1, 99_999)))
    return owner, job, build_children(owner, job)


@settings(max_examples=80)
@given(children())
def test_no_profile_gives_pods_privileges_or_kubernetes_credentials(built: Any) -> None:
    _, job, manifests = built
    pod = manifests[-1]["spec"]["template"]["spec"]
    assert pod.keys() <= POD_FIELDS
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "envFrom" not in container
    assert {*container["command"][:2]} == {"python", "-m"}
    mounted = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
    assert mounted == list(job.secrets), "the Secrets of its locations, and no others"
    assert not any("projected" in volume or "downwardAPI" in volume for volume in pod["volumes"])


@settings(max_examples=80)
@given(children())
def test_volumes_and_their_mounts_belong_together_and_have_places_of_their_own(built: Any) -> None:
    _, job, manifests = built
    pod = manifests[-1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = [volume["name"] for volume in pod["volumes"]]
    mounts = container["volumeMounts"]
    assert sorted(volumes) == sorted(mount["name"] for mount in mounts)
    assert len(set(volumes)) == len(volumes)
    assert all(LABEL.fullmatch(name) and len(name) <= 63 for name in volumes)
    places = [mount["mountPath"] for mount in mounts]
    assert len(set(places)) == len(places)
    assert all(place.startswith("/pretrain/") or place == "/dev/shm" for place in places)
    by_place = {mount["mountPath"]: mount for mount in mounts}
    for secret in job.secrets:
        assert by_place[f"{paths.SECRETS}/{secret}"]["readOnly"] is True
    for volume in job.placement.volumes:
        assert by_place[volume.mount_path].get("readOnly", False) is volume.read_only
    for volume in pod["volumes"]:
        assert len(volume) == 2, "a name, and one source"
    env = [variable["name"] for variable in container["env"]]
    assert len(set(env)) == len(env)


@settings(max_examples=80)
@given(children())
def test_children_have_valid_names_and_labels_and_are_deleted_with_their_owner(built: Any) -> None:
    owner, _, manifests = built
    assert manifests[-1]["kind"] == "Job", "the last: its pods need the others"
    by_kind = {manifest["kind"]: manifest for manifest in manifests}
    assert len(by_kind) == len(manifests)
    for manifest in manifests:
        meta = manifest["metadata"]
        assert LABEL.fullmatch(meta["name"])
        assert len(meta["name"]) <= (52 if manifest["kind"] == "Job" else 63)
        assert meta["namespace"] == owner.key.namespace
        assert all(LABEL_VALUE.fullmatch(v) and len(v) <= 63 for v in meta["labels"].values())
        (reference,) = meta["ownerReferences"]
        assert (reference["uid"], reference["name"]) == (owner.uid, owner.key.name)
        assert (reference["kind"], reference["controller"]) == (owner.key.kind, True)
    selected = manifests[-1]["spec"]["template"]["metadata"]["labels"]
    if "Service" in by_kind:
        selector = by_kind["Service"]["spec"]["selector"]
        assert selector.items() <= selected.items()
        pod = manifests[-1]["spec"]["template"]["spec"]
        assert pod["subdomain"] == by_kind["Service"]["metadata"]["name"]


@settings(max_examples=60)
@given(children())
def test_a_job_is_read_back_as_it_was_planned(built: Any) -> None:
    owner, job, manifests = built
    body = {**manifests[-1], "metadata": {**manifests[-1]["metadata"], "uid": "u"}}
    read = parse_job(body)
    assert (read.name, read.owner_uid) == (job.name, owner.uid)
    assert read.annotations[PLACEMENT_ANNOTATION] == job.placement.digest
    (config_map,) = (m for m in manifests if m["kind"] == "ConfigMap")
    assert read.annotations[CONFIG_MAP_ANNOTATION] == config_map["metadata"]["name"]
    if isinstance(job, AttemptJob):
        assert (read.stage, read.attempt) == ("train", job.status.number)
        assert read.suspended == ("kueue.x-k8s.io/queue-name" in owner.labels)
    else:
        assert (read.stage, read.attempt, read.suspended) == (job.stage, 0, False)
    assert json.loads(json.dumps(manifests, allow_nan=False)) == list(manifests)


@settings(max_examples=60)
@given(profiles, profiles)
def test_two_placements_have_one_digest_only_if_their_pods_are_the_same(
    one: ComputeProfileSpec, other: ComputeProfileSpec
) -> None:
    owner = make_object("DataPipeline")
    jobs = [build_children(owner, stage_job(profile, ()))[-1] for profile in (one, other)]
    digests = [job["metadata"]["annotations"][PLACEMENT_ANNOTATION] for job in jobs]
    pods = [job["spec"]["template"]["spec"] for job in jobs]
    assert pods[0] == pods[1] or digests[0] != digests[1]


@given(children())
def test_building_again_gives_the_same_manifests(built: Any) -> None:
    """A reconcile that is repeated after a crash must not conflict with what it created."""
    owner, job, manifests = built
    assert build_children(owner, job) == manifests
