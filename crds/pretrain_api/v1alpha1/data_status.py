"""What the statuses of the data kinds share: an artifact, and the stages that make it."""

from pretrain_api.conditions import Condition
from pretrain_api.meta import ApiModel, Count


class ArtifactRef(ApiModel):
    """An immutable artifact in storage."""

    uri: str
    """Folder of the artifact; its `MANIFEST.json` was written last."""

    digest: str
    """Content digest of everything that it was computed from."""


class StageStatus(ApiModel):
    """One stage of a data kind: an Indexed Job."""

    name: str
    """Name of the stage."""

    job: str
    """Name of its Job."""

    tasks: Count = 0
    """Completions of the Job."""

    succeeded: Count = 0
    """Tasks that are done."""

    started_at: str | None = None
    """When the Job started, RFC 3339."""

    finished_at: str | None = None
    """When the Job ended, RFC 3339."""

    artifact: ArtifactRef | None = None
    """The artifact that the stage named, for the stages after it; it may not be complete yet."""

    counts: dict[str, Count] = {}
    """Counters of the tasks that are done, summed: documents read, kept, …"""

    seconds: float = 0.0
    """Wall time of the tasks that are done, in seconds, summed."""

    peak_memory_bytes: Count = 0
    """Largest resident memory of a task that is done, in bytes."""


class DataStatus(ApiModel):
    """What every kind that produces an artifact reports."""

    observed_generation: int | None = None
    """`metadata.generation` that this status was computed from."""

    phase: str = "Pending"
    """One word for people; machines read the conditions."""

    message: str = ""
    """One sentence for people: what happens now, or what to change."""

    conditions: list[Condition] = []
    """kstatus conditions and our own."""

    artifact: ArtifactRef | None = None
    """The newest complete artifact."""

    spec_digest: str | None = None
    """Digest of the spec and of the inputs that `artifact` was computed from."""

    reused: bool = False
    """Whether the artifact was there already, computed earlier from the same inputs."""

    stages: list[StageStatus] = []
    """The stages of the current spec, in order."""
