"""Chains of stages: which Jobs produce the artifact of a data object, in which order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from pretrain_api.digests import digest, short
from pretrain_api.meta import RETRY_ANNOTATION, Location
from pretrain_api.runs import (
    DATASET_STAGES,
    PIPELINE_STAGES,
    TOKENIZER_STAGES,
    DatasetRun,
    PipelineRun,
    Run,
    TokenizerRun,
)
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_operator.plan.data.objects import DataObject
from pretrain_operator.plan.names import stage_job_name
from pretrain_operator.plan.placement import Placement
from pretrain_operator.plan.plans import StageJob
from pretrain_operator.plan.secrets import secret_names

_SINGLE_TASK = ("list", "decide", "report", "train", "compose", "seal")
_READS_SOURCES = ("list", "prepare")


@dataclass(frozen=True)
class Chain:
    """The stages of one object, and how each becomes a Job.

    The first stage may name the artifact; later stages get it as input.
    """

    item: DataObject
    placement: Placement
    stages: tuple[str, ...]
    program: str
    """Module that the pods of every stage run."""
    run: Callable[[ArtifactRef | None], Run]
    """Return the document that pods read, with the artifact if it is named already."""
    secrets: Callable[[str], tuple[str, ...]]
    """Return the Secrets that pods of a stage mount."""
    tasks: int = 1
    """Tasks of the stages that can be divided."""
    parallelism: int | None = None
    """Tasks that run at the same time. `None` means all."""
    artifact: ArtifactRef | None = None
    """The artifact, if its name does not depend on the first stage."""

    def job(self, stage: str, artifact: ArtifactRef | None) -> StageJob:
        """Return the Job of a stage; its name has a digest of owner, stage and what its pods read.

        So a finished stage is not repeated, and an edited spec gets other Jobs.
        """
        owner, run = self.item.owner, self.run(artifact)
        document = run.model_dump(mode="json", by_alias=True, exclude_none=True)
        retry = owner.annotations.get(RETRY_ANNOTATION, "")
        tasks = 1 if stage in _SINGLE_TASK else self.tasks
        return StageJob(
            stage=stage,
            name=stage_job_name(owner.key.name, stage, digest(owner.uid, retry, stage, document)),
            run=run,
            program=self.program,
            arguments=(stage,) if len(self.stages) > 1 else (),
            tasks=tasks,
            parallelism=min(tasks, self.parallelism or tasks),
            secrets=self.secrets(stage),
            digest=short(artifact.digest if artifact else self.item.digest),
            placement=self.placement,
        )


def plan_chain(item: DataObject, placement: Placement) -> Chain:
    """Return the stages of `item`; their pods run according to `placement`."""
    match item.spec:
        case DataPipelineSpec():
            return _pipeline_chain(item, item.spec, placement)
        case TokenizerSpec():
            return _tokenizer_chain(item, item.spec, placement)
        case TokenDatasetSpec():
            return _dataset_chain(item, item.spec, placement)


def _for_pods[S: BaseModel](spec: S) -> S:
    """Return `spec` without the fields that may change while pods run, and do not concern them."""
    updates = {"profile_ref": None, "parallelism": None}
    fields = {name: value for name, value in updates.items() if name in type(spec).model_fields}
    return spec.model_copy(update=fields)


def _pipeline_chain(item: DataObject, spec: DataPipelineSpec, placement: Placement) -> Chain:
    def run(artifact: ArtifactRef | None) -> PipelineRun:
        return PipelineRun(
            name=item.owner.key.name,
            namespace=item.owner.key.namespace,
            spec=_for_pods(spec),
            artifact=artifact,
            tasks=spec.tasks,
        )

    def secrets(stage: str) -> tuple[str, ...]:
        sources: Sequence[Location] = ()
        if stage in _READS_SOURCES:
            quality = spec.models.quality
            onnx = [quality.onnx] if quality and quality.onnx else []
            sources = [*spec.sources, *spec.other_sources, *onnx]
        return secret_names(spec.output, *sources)

    return Chain(
        item=item,
        placement=placement,
        stages=PIPELINE_STAGES,
        program="pretrain_workloads.data",
        run=run,
        secrets=secrets,
        tasks=spec.tasks,
        parallelism=spec.parallelism,
    )


def _tokenizer_chain(item: DataObject, spec: TokenizerSpec, placement: Placement) -> Chain:
    artifact = item.artifact_in(spec.output)
    documents = item.inputs["spec.corpus.pipelineRef"]
    existing = [spec.existing] if spec.existing else []
    run = TokenizerRun(
        name=item.owner.key.name,
        namespace=item.owner.key.namespace,
        spec=_for_pods(spec),
        artifact=artifact,
        documents=documents,
    )
    return Chain(
        item=item,
        placement=placement,
        stages=TOKENIZER_STAGES,
        program="pretrain_workloads.tokenizer",
        run=lambda _: run,
        secrets=lambda _: secret_names(spec.output, documents, *existing),
        artifact=artifact,
    )


def _dataset_chain(item: DataObject, spec: TokenDatasetSpec, placement: Placement) -> Chain:
    artifact = item.artifact_in(spec.output)
    tokenizer = item.inputs["spec.tokenizerRef"]
    documents = [
        item.inputs[f"spec.mixture[{index}].pipelineRef"] for index in range(len(spec.mixture))
    ]
    run = DatasetRun(
        name=item.owner.key.name,
        namespace=item.owner.key.namespace,
        spec=_for_pods(spec),
        artifact=artifact,
        tokenizer=tokenizer,
        documents=documents,
        tasks=spec.tasks,
    )
    return Chain(
        item=item,
        placement=placement,
        stages=DATASET_STAGES,
        program="pretrain_workloads.dataset",
        run=lambda _: run,
        secrets=lambda _: secret_names(spec.output, tokenizer, *documents),
        tasks=spec.tasks,
        parallelism=spec.parallelism,
        artifact=artifact,
    )
