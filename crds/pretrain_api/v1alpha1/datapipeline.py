"""DataPipeline: raw sources become clean, deduplicated, labelled documents."""

from typing import Annotated

from pydantic import Field, model_validator

from pretrain_api.meta import ApiModel, Fraction, Location, Positive, Reference
from pretrain_api.quantities import Quantity
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.pipeline.decontamination import Decontamination
from pretrain_api.v1alpha1.pipeline.deduplication import Deduplication
from pretrain_api.v1alpha1.pipeline.models import TextModels
from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_api.v1alpha1.pipeline.scrub import Scrub
from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_api.v1alpha1.pipeline.summary import PipelineSummary


class DataPipelineSpec(ApiModel):
    """Raw sources → clean, deduplicated, labelled documents."""

    sources: Annotated[list[Source], Field(min_length=1, max_length=256)]
    """Where the text comes from."""

    output: Location
    """Folder that gets the artifact, below `datapipeline-<name>/<digest>/`."""

    rules: Annotated[list[DataRule], Field(max_length=128)] = []
    """Rules that a document must pass, in this order; the first that drops it is reported."""

    scrub: Scrub = Scrub()
    """Personal data and secrets that are masked, after the rules and before deduplication."""

    models: TextModels = TextModels()
    """Models that score the quality of documents and tell their domain, after the rules."""

    decontaminate: Decontamination | None = None
    """Drop documents that hold text of benchmarks. Unset means that none is looked for."""

    deduplication: Deduplication = Deduplication()
    """Which duplicates are dropped."""

    max_record_bytes: Quantity = 16_777_216
    """Largest record, line or text file, in bytes; a larger one is quarantined, and never held in
    memory."""

    max_bad_fraction: Fraction = 0.01
    """Share of records that may be unreadable; with more the pipeline fails, as soon as that is
    clear. Up to 10 bad records are always allowed, unless they are most of all records. A damaged
    file counts as one; what could be read of it stays. Records without text do not count."""

    tasks: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Tasks that the input is divided into (completions of the Indexed Job).
    A task is retried three times after errors, and three times after its node evicted the pod for
    lack of memory or disk; after preemptions and drained nodes, without limit. The back-off doubles
    from 10 seconds to 10 minutes."""

    parallelism: Positive | None = None
    """Tasks that run at once. Unset means all."""

    profile_ref: Reference | None = None
    """ComputeProfile of the pods. Unset means the cluster's default."""

    @model_validator(mode="after")
    def _distinct_sources(self) -> "DataPipelineSpec":
        names = [source.name for source in self.sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sources: the names {twice} occur more than once; give each its own")
        return self

    @property
    def other_sources(self) -> list[Source]:
        """Return the sources that are no input: benchmarks, and samples of models."""
        return [*(self.decontaminate.against if self.decontaminate else []), *self.models.sources]


class DataPipelineStatus(DataStatus):
    """Observed state of a DataPipeline."""

    summary: PipelineSummary | None = None
    """Content of the artifact."""
