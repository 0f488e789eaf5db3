"""Which pod reads what the command line shows."""

import secrets
from dataclasses import dataclass

from pretrain_api.artifacts import artifact_uri
from pretrain_api.meta import Reference
from pretrain_api.problems import InvalidManifest
from pretrain_api.reports import Audit
from pretrain_api.runs import AuditRun, FileRun, OpenedArtifact, Run
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, PretrainJobStatus
from pretrain_operator.admission.profiles import choose_profile
from pretrain_operator.build.reader_job import ReaderJob
from pretrain_operator.cli.live import find_object, read_object, read_profiles
from pretrain_operator.cli.reader import read_text
from pretrain_operator.observed.errors import DependencyNotReady
from pretrain_operator.observed.objects import ObservedObject, read_spec
from pretrain_operator.observed.states import read_status
from pretrain_operator.plan.dependencies import artifact_secret
from pretrain_operator.plan.names import child_name
from pretrain_operator.plan.placement import plan_placement
from pretrain_operator.plan.secrets import secret_names

_REPORT = "report.html"


@dataclass(frozen=True)
class _Reading:
    """What a pod reads."""

    what: str
    run: Run
    artifacts: tuple[OpenedArtifact, ...]
    profile_ref: Reference | None
    seconds: int


def read_report(namespace: str, name: str, seconds: int) -> str:
    """Return the report of a DataPipeline, an HTML page; `connect` comes first.

    Raises:
        InvalidManifest: If the pipeline is not complete, or its report cannot be read.
    """
    owner = read_object("DataPipeline", namespace, name)
    status = read_status(DataStatus, owner)
    if status.artifact is None:
        raise InvalidManifest(
            [f"DataPipeline {name} has no artifact yet ({status.phase}); wait until it is ready"]
        )
    opened = OpenedArtifact(
        uri=status.artifact.uri,
        digest=status.artifact.digest,
        credentials_secret=artifact_secret(owner),
    )
    run = FileRun(name=name, namespace=namespace, artifact=opened, path=_REPORT)
    profile_ref = read_spec(DataPipelineSpec, owner).profile_ref
    return _read(owner, _Reading("file", run, (opened,), profile_ref, seconds))


def read_audit(namespace: str, name: str, seconds: int, reads_blocks: bool) -> Audit:
    """Return the audit of a PretrainJob; `connect` comes first.

    Raises:
        InvalidManifest: If the run has not started or has no checkpoint, or cannot be read.
    """
    owner = read_object("PretrainJob", namespace, name)
    spec, inputs = read_spec(PretrainJobSpec, owner), read_status(PretrainJobStatus, owner).inputs
    if inputs is None:
        raise InvalidManifest([f"PretrainJob {name} has not started yet; wait for a checkpoint"])
    secret = spec.checkpoint.credentials_secret_ref
    folder = OpenedArtifact(
        uri=artifact_uri(spec.checkpoint.uri, "PretrainJob", name, inputs.digest),
        digest=inputs.digest,
        credentials_secret=secret.name if secret else None,
    )
    producer = find_object("TokenDataset", namespace, spec.data.dataset_ref.name)
    dataset = OpenedArtifact(
        uri=inputs.dataset.uri,
        digest=inputs.dataset.digest,
        credentials_secret=artifact_secret(producer) if producer else None,
    )
    run = AuditRun(
        name=name,
        namespace=namespace,
        run=folder,
        dataset=dataset,
        seed=spec.training.seed,
        reads_blocks=reads_blocks,
    )
    text = _read(owner, _Reading("audit", run, (folder, dataset), spec.profile_ref, seconds))
    return Audit.model_validate_json(text, extra="ignore")


def _read(owner: ObservedObject, reading: _Reading) -> str:
    try:
        profile = choose_profile(reading.profile_ref, read_profiles(), owner.key.namespace)
    except DependencyNotReady as error:
        raise InvalidManifest([str(error)]) from None
    reader = ReaderJob(
        name=child_name(owner.key.name, f"read-{secrets.token_hex(4)}"),
        run=reading.run,
        what=reading.what,
        secrets=secret_names(*reading.artifacts),
        placement=plan_placement(profile, "data"),
        seconds=reading.seconds,
    )
    return read_text(owner, reader)
