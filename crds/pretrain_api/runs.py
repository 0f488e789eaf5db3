"""Input of the workload pods: one JSON document, mounted at `paths.SPEC`.

The program fixes the class of the document: `python -m pretrain_workloads.data STAGE`,
`… .tokenizer`, `… .dataset STAGE`, `… .trainer`, `… .reader file|audit`.
"""

from pretrain_api.meta import ApiModel, NonNegative, Positive
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, RunInputs
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec

PIPELINE_STAGES = ("list", "prepare", "match", "decide", "write", "report")
TOKENIZER_STAGES = ("train",)
READINGS = ("file", "audit")
DATASET_STAGES = ("tokenize", "compose", "block", "seal")


class Run(ApiModel):
    """Fields of every run."""

    name: str
    """Name of the object."""

    namespace: str
    """Namespace of the object."""


class OpenedArtifact(ArtifactRef):
    """An input artifact and the Secret that opens it."""

    credentials_secret: str | None = None
    """Name of the Secret, mounted below `paths.SECRETS`."""


class PipelineRun(Run):
    """A stage of a DataPipeline."""

    spec: DataPipelineSpec
    """The object's spec."""

    artifact: ArtifactRef | None = None
    """The artifact that is being made. Unset for `list`, which names it."""

    tasks: Positive = 1
    """Tasks of every stage that runs in parallel: the completions of its Job."""


class TokenizerRun(Run):
    """The training of a tokenizer."""

    spec: TokenizerSpec
    """The object's spec."""

    artifact: ArtifactRef
    """The artifact that is being made."""

    documents: OpenedArtifact
    """DataPipeline artifact that it is trained on."""


class DatasetRun(Run):
    """A stage of a TokenDataset."""

    spec: TokenDatasetSpec
    """The object's spec."""

    artifact: ArtifactRef
    """The artifact that is being made."""

    tokenizer: OpenedArtifact
    """Tokenizer artifact."""

    documents: list[OpenedArtifact]
    """DataPipeline artifacts, one for each part of the mixture, in its order."""

    tasks: Positive = 1
    """Tasks of every stage that runs in parallel: the completions of its Job."""


class TrainingRun(Run):
    """An attempt of a PretrainJob."""

    spec: PretrainJobSpec
    """The object's spec."""

    uid: str = ""
    """UID of the object: it distinguishes runs that write to the same folder. Empty means unknown;
    then namespace and name are compared."""

    attempt: Positive
    """Number of the attempt."""

    inputs: RunInputs
    """Artifacts that the run reads; `inputs.digest` names its folders."""

    dataset: OpenedArtifact
    """Token blocks."""

    tokenizer: OpenedArtifact
    """Tokenizer."""

    processes_per_node: Positive
    """Training processes on a node."""

    device: str
    """`cuda` or `cpu`."""

    peak_flops: float | None = None
    """Peak FLOP/s of a device at the run's precision, for MFU. Unset means unknown."""

    rendezvous_host: str
    """DNS name of pod 0."""

    rendezvous_port: NonNegative
    """TCP port of pod 0, different for each attempt."""


class FileRun(Run):
    """The reading of a text file of an artifact."""

    artifact: OpenedArtifact
    """The artifact."""

    path: str
    """Path of the file below its folder."""


class AuditRun(Run):
    """The audit of the data that a PretrainJob has read."""

    run: OpenedArtifact
    """The run's folder, with its checkpoints."""

    dataset: OpenedArtifact
    """Its token blocks."""

    seed: NonNegative
    """`spec.training.seed` of the run."""

    reads_blocks: bool = True
    """Whether the token blocks are read, to compare them with what the trainer read."""
