"""The data kinds: what each is made from, its digest, and its chain of stages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from pretrain_api.artifacts import artifact_uri
from pretrain_api.digests import content_of, digest, short
from pretrain_api.meta import RETRY_ANNOTATION, Location, Reference
from pretrain_api.runs import (
    DATASET_STAGES,
    PIPELINE_STAGES,
    DatasetRun,
    OpenedArtifact,
    PipelineRun,
    TokenizerRun,
)
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_operator.observed.objects import Key, ObservedObject
from pretrain_operator.plan.secrets import secret_names
from pretrain_operator.plan.stages import Chain, StageJob, stage_job

WorkSpec = DataPipelineSpec | TokenizerSpec | TokenDatasetSpec

TOKENIZER_STAGES = ("train",)
_SINGLE_TASK = ("list", "decide", "report", "train", "compose", "seal")
_READS_SOURCES = ("list", "prepare")


@dataclass(frozen=True)
class Work:
    """An object that produces an artifact, and the artifacts that it is made from."""

    owner: ObservedObject
    spec: WorkSpec
    inputs: Mapping[str, OpenedArtifact]
    """By the path of the field that refers to them."""

    @property
    def digest(self) -> str:
        """Return the digest of what is asked for: a new one means that there is work to do."""
        retry = self.owner.annotations.get(RETRY_ANNOTATION, "")
        return digest(self.content, retry) if retry else self.content

    @property
    def content(self) -> str:
        """Return the digest of all that determines the artifact, as far as is known beforehand."""
        return content_digest(self.spec, self.inputs)


def input_fields(key: Key, spec: WorkSpec) -> dict[str, Key]:
    """Return the objects that `spec` refers to, by the path of the field."""

    def at(kind: str, ref: Reference) -> Key:
        return Key(kind, key.namespace, ref.name)

    match spec:
        case TokenizerSpec():
            return {"spec.corpus.pipelineRef": at("DataPipeline", spec.corpus.pipeline_ref)}
        case TokenDatasetSpec():
            parts = {
                f"spec.mixture[{index}].pipelineRef": at("DataPipeline", part.pipeline_ref)
                for index, part in enumerate(spec.mixture)
            }
            return {"spec.tokenizerRef": at("Tokenizer", spec.tokenizer_ref), **parts}
        case DataPipelineSpec():
            return {}


def content_digest(spec: WorkSpec, inputs: Mapping[str, OpenedArtifact]) -> str:
    """Return the digest of what determines an artifact: not where it lies, nor who computes it.

    Fields at their defaults are left out, so that a new field of a later version changes nothing.
    """
    leave_out = () if isinstance(spec, DataPipelineSpec) else ("output",)
    said = content_of(spec, leave_out)
    return digest(said, [inputs[field].digest for field in sorted(inputs)])


def plan_chain(work: Work, placement: str) -> Chain:
    """Return the stages of `work`, whose pods are placed by the placement of that digest."""
    match work.spec:
        case DataPipelineSpec():
            return _pipeline_chain(work, work.spec, placement)
        case TokenizerSpec():
            return _tokenizer_chain(work, work.spec, placement)
        case TokenDatasetSpec():
            return _dataset_chain(work, work.spec, placement)


def _told[S: BaseModel](spec: S) -> S:
    """Return what pods are told of a spec: nothing of how many of them run, or where."""
    updates = {"profile_ref": None, "parallelism": None}
    known = {name: value for name, value in updates.items() if name in type(spec).model_fields}
    return spec.model_copy(update=known)


def _tasks(stage: str, spec: DataPipelineSpec | TokenDatasetSpec) -> tuple[int, int]:
    """Return the tasks of a stage, and how many run at once."""
    tasks = 1 if stage in _SINGLE_TASK else spec.tasks
    return tasks, min(tasks, spec.parallelism or tasks)


def _pipeline_chain(work: Work, spec: DataPipelineSpec, placement: str) -> Chain:
    key = work.owner.key

    def build(stage: str, artifact: ArtifactRef | None) -> StageJob:
        tasks, parallelism = _tasks(stage, spec)
        sources: Sequence[Location] = spec.sources if stage in _READS_SOURCES else ()
        known = None if stage == PIPELINE_STAGES[0] else artifact
        return stage_job(
            work.owner,
            PipelineRun(
                name=key.name,
                namespace=key.namespace,
                spec=_told(spec),
                artifact=known,
                tasks=spec.tasks,
            ),
            stage,
            "pretrain_workloads.data",
            stage,
            tasks=tasks,
            parallelism=parallelism,
            secrets=secret_names(spec.output, *sources),
            digest=short(known.digest if known else work.digest),
        )

    return Chain(PIPELINE_STAGES, build, placement)


def _artifact(work: Work, output: Location) -> ArtifactRef:
    key, content = work.owner.key, work.content
    return ArtifactRef(uri=artifact_uri(output.uri, key.kind, key.name, content), digest=content)


def _tokenizer_chain(work: Work, spec: TokenizerSpec, placement: str) -> Chain:
    key, artifact = work.owner.key, _artifact(work, spec.output)
    documents = work.inputs["spec.corpus.pipelineRef"]
    run = TokenizerRun(
        name=key.name,
        namespace=key.namespace,
        spec=_told(spec),
        artifact=artifact,
        documents=documents,
    )

    def build(stage: str, _: ArtifactRef | None) -> StageJob:
        return stage_job(
            work.owner,
            run,
            stage,
            "pretrain_workloads.tokenizer",
            tasks=1,
            parallelism=1,
            secrets=secret_names(spec.output, documents),
            digest=short(artifact.digest),
        )

    return Chain(TOKENIZER_STAGES, build, placement, artifact)


def _dataset_chain(work: Work, spec: TokenDatasetSpec, placement: str) -> Chain:
    key, artifact = work.owner.key, _artifact(work, spec.output)
    tokenizer = work.inputs["spec.tokenizerRef"]
    documents = [
        work.inputs[f"spec.mixture[{index}].pipelineRef"] for index in range(len(spec.mixture))
    ]

    def build(stage: str, _: ArtifactRef | None) -> StageJob:
        tasks, parallelism = _tasks(stage, spec)
        return stage_job(
            work.owner,
            DatasetRun(
                name=key.name,
                namespace=key.namespace,
                spec=_told(spec),
                artifact=artifact,
                tokenizer=tokenizer,
                documents=documents,
                tasks=spec.tasks,
            ),
            stage,
            "pretrain_workloads.dataset",
            stage,
            tasks=tasks,
            parallelism=parallelism,
            secrets=secret_names(spec.output, tokenizer, *documents),
            digest=short(artifact.digest),
        )

    return Chain(DATASET_STAGES, build, placement, artifact)
