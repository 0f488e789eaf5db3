"""Exit reports: what pods tell the control plane when they end."""

from enum import StrEnum

from pydantic import Field

from pretrain_api.meta import ApiModel, Count
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.pipeline.summary import PipelineSummary
from pretrain_api.v1alpha1.progress import CheckpointStatus, CurvePoint, TrainingSummary
from pretrain_api.v1alpha1.tokendataset import DatasetSummary
from pretrain_api.v1alpha1.tokenizer import TokenizerSummary

MAX_REPORT_BYTES = 4096
"""Kubernetes cuts a termination message after this many bytes."""


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
