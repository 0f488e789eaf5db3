"""What pods report: to the control plane when they end, and audits to the command line."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from pretrain_api.meta import ApiModel, Count
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.pipeline.summary import PipelineSummary
from pretrain_api.v1alpha1.progress import CheckpointStatus, CurvePoint, TrainingSummary
from pretrain_api.v1alpha1.tokendataset import DatasetSummary
from pretrain_api.v1alpha1.tokenizer import TokenizerSummary

MAX_REPORT_BYTES = 4096
"""Kubernetes cuts a termination message after this many bytes."""


READING_BEGINS = "=== what was asked for begins here ==="
READING_ENDS = "=== what was asked for ends here ==="
"""Lines in the log of a reader, before and after its text."""


class ExitClass(StrEnum):
    """Why a process ended."""

    COMPLETE = "complete"
    PREEMPTED = "preempted"
    LOSS_SPIKE = "lossSpike"
    NOT_A_NUMBER = "notANumber"
    HANG = "hang"
    OUT_OF_MEMORY = "outOfMemory"
    BAD_DATA = "badData"
    USER_ERROR = "userError"
    PROGRAM_ERROR = "programError"
    """A bug: a retry seldom helps. An older operator treats it as an end without a report."""
    INFRASTRUCTURE = "infrastructure"

    @property
    def exit_code(self) -> int:
        """Return the process exit code of this class: Jobs stop retrying on 64 and 65."""
        return _EXIT_CODES.get(self, 1)

    @property
    def is_final(self) -> bool:
        """Return whether a retry cannot help: the user must change something."""
        return self in (ExitClass.USER_ERROR, ExitClass.BAD_DATA)


_EXIT_CODES = {
    ExitClass.COMPLETE: 0,
    ExitClass.USER_ERROR: 64,
    ExitClass.BAD_DATA: 65,
    ExitClass.PROGRAM_ERROR: 70,
    ExitClass.OUT_OF_MEMORY: 137,
    ExitClass.PREEMPTED: 143,
}
"""As in BSD's sysexits (usage, data format, software) and the shell's 128 + signal."""


CAUSES = (
    ExitClass.USER_ERROR,
    ExitClass.BAD_DATA,
    ExitClass.NOT_A_NUMBER,
    ExitClass.LOSS_SPIKE,
    ExitClass.OUT_OF_MEMORY,
    ExitClass.PROGRAM_ERROR,
    ExitClass.HANG,
    ExitClass.INFRASTRUCTURE,
    ExitClass.PREEMPTED,
    ExitClass.COMPLETE,
)
"""All classes, root causes first: of several processes that ended together, the class that comes
first here is the cause. When one process ends, its peers report lost connections."""


class ExitReport(ApiModel):
    """The termination message of every workload container."""

    exit_class: ExitClass = Field(alias="class")
    """Why the process ended."""

    message: str = ""
    """One sentence: the field or file, the value and what would do. Empty when complete."""

    rank: Count = 0
    """Index of the pod."""

    seconds: float = 0.0
    """Wall time of the process."""

    peak_memory_bytes: Count = 0
    """Largest resident memory of the process and its children."""

    counts: dict[str, Count] = {}
    """Counters, summed over the tasks of a stage."""

    artifact: ArtifactRef | None = None
    """The artifact that this stage named or completed."""

    reused: bool = False
    """Whether a complete artifact of the same inputs existed already."""

    pipeline: PipelineSummary | None = None
    """What a DataPipeline's artifact holds (its first stage, if reused, and its last)."""

    tokenizer: TokenizerSummary | None = None
    """What a Tokenizer's artifact holds."""

    dataset: DatasetSummary | None = None
    """What a TokenDataset's artifact holds (its first stage, if reused, and its last)."""

    training: TrainingSummary | None = None
    """What a training attempt reached (pod 0)."""

    checkpoint: CheckpointStatus | None = None
    """Newest durable checkpoint of a training attempt."""

    curve: list[CurvePoint] = []
    """Loss over the run, at most 24 points."""


class AuditedGroup(ApiModel):
    """Documents that have something in common."""

    by: Literal["source", "language", "domain", "part"]
    """What they have in common."""

    name: str
    """Its value."""

    documents: Count
    """How many of them were read, at least in part."""

    tokens: Count
    """Tokens that were read, repetitions included."""


class Audit(ApiModel):
    """What the weights of a run's newest checkpoint have read."""

    step: Count
    """Step of the checkpoint."""

    samples: Count
    """Sequences that were read."""

    tokens: Count
    """Labels that were read: sequences times their length."""

    traced_tokens: Count
    """Those of them that the dataset's ledger traces to a document."""

    epochs: float
    """How often all token blocks were read."""

    documents: Count
    """Documents that were read, at least in part: by artifact and row."""

    most_uses: float
    """How often the tokens of one document were read, at most."""

    rollbacks: Count
    """How often the run went back to an earlier checkpoint."""

    skipped_samples: Count
    """Sequences that it left out since."""

    checksum: Literal["equal", "different", "unknown", "not read"]
    """Whether the sequences in the token blocks are those that the trainer read. `unknown`: the
    checkpoint does not say what it read."""

    groups: list[AuditedGroup]
    """What was read, by source, language, domain and part of the mixture."""

    @property
    def is_sound(self) -> bool:
        """Return whether every token is traced, and nothing contradicts it."""
        return self.traced_tokens == self.tokens and self.checksum != "different"
