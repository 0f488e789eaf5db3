"""The Job of a reader: what it can read, and why the operator never takes it for a child."""

from builders import artifact, make_object, parsed_profile
from pretrain_api.meta import KIND_LABEL
from pretrain_api.runs import FileRun, OpenedArtifact
from pretrain_operator.build.reader_job import ReaderJob, build_document, build_reader
from pretrain_operator.plan.placement import plan_placement

OPENED = OpenedArtifact(uri=artifact().uri, digest=artifact().digest, credentials_secret="store")
READER = ReaderJob(
    name="thing-read-1a2b",
    run=FileRun(name="thing", namespace="default", artifact=OPENED, path="report.html"),
    what="file",
    secrets=("store",),
    placement=plan_placement(parsed_profile(), "data"),
    seconds=60,
)


def test_a_reader_is_no_child_of_the_operator_and_goes_with_its_object() -> None:
    owner = make_object("DataPipeline")
    job = build_reader(owner, READER)
    labels = [job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]]
    assert not [one for one in labels if KIND_LABEL in one]
    (reference,) = job["metadata"]["ownerReferences"]
    assert reference["uid"] == owner.uid
    assert "controller" not in reference


def test_a_reader_tries_once_for_a_limited_time_and_leaves_nothing() -> None:
    spec = build_reader(make_object("DataPipeline"), READER)["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 60)
    assert spec["ttlSecondsAfterFinished"] > 0
    document = build_document(READER, "uid-of-the-job")
    assert document["metadata"]["ownerReferences"][0]["uid"] == "uid-of-the-job"


def test_the_pod_mounts_the_secret_of_what_it_reads_and_no_token() -> None:
    spec = build_reader(make_object("DataPipeline"), READER)["spec"]["template"]["spec"]
    secrets = [one["secret"]["secretName"] for one in spec["volumes"] if "secret" in one]
    assert secrets == ["store"]
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["command"][-2:] == ["pretrain_workloads.reader", "file"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
