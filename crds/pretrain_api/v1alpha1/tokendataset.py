"""TokenDataset: documents become fixed-size blocks of token sequences in a chosen mixture."""

from typing import Annotated

from pydantic import Field

from pretrain_api.meta import (
    ApiModel,
    Count,
    Language,
    Location,
    NonNegative,
    Positive,
    PositiveCount,
    Reference,
)
from pretrain_api.quantities import Quantity
from pretrain_api.v1alpha1.data_status import DataStatus


class Where(ApiModel):
    """Which documents of a pipeline; unset fields match all."""

    language: Language | None = None
    """Only this language."""

    domain: Annotated[str, Field(max_length=63)] | None = None
    """Only this domain."""

    source: Annotated[str, Field(max_length=63)] | None = None
    """Only this source."""


class MixturePart(ApiModel):
    """One ingredient of the stream."""

    pipeline_ref: Reference
    """DataPipeline that the documents come from."""

    where: Where = Where()
    """Which of its documents."""

    weight: Annotated[float, Field(ge=0.000001, le=1_000_000.0)] = 1.0
    """Share of the stream's tokens, relative to the other parts."""


class Validation(ApiModel):
    """Documents that are held out, to measure perplexity."""

    fraction: Annotated[float, Field(ge=0.0, le=0.5)] = 0.001
    """Share of the documents, by a hash of their id, that never enters training."""

    max_tokens: Quantity = 10_000_000
    """Most tokens of the validation set."""


class TokenDatasetSpec(ApiModel):
    """Tokenize, mix, cut."""

    tokenizer_ref: Reference
    """Tokenizer that turns text into ids."""

    mixture: Annotated[list[MixturePart], Field(min_length=1, max_length=64)]
    """What the stream is made of."""

    tokens: Quantity
    """Length of the stream; where a part has fewer unique tokens, its documents repeat."""

    block_tokens: Quantity = 1_000_000_000
    """Length of a block, the unit of production, checkpoint and rollback; rounded down to whole
    sequences."""

    sequence_length: Annotated[int, Field(ge=8, le=16_777_216)]
    """Tokens of a sequence."""

    validation: Validation = Validation()
    """What is held out."""

    seed: NonNegative = 0
    """Seed of the order of documents."""

    tasks: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Pieces of work that tokenizing is cut into.
    A task is tried again three times after errors, and three times after its node has put its pod
    out for want of memory or disk; after preemptions and drained nodes as often as need be. The
    delays double from 10 seconds to 10 minutes."""

    parallelism: Positive | None = None
    """Tasks that run at once. Unset means all."""

    output: Location
    """Folder that gets the artifact, below `tokendataset-<name>/<digest>/`."""

    profile_ref: Reference | None = None
    """ComputeProfile of the pods. Unset means the cluster's default."""


class PartSummary(ApiModel):
    """What one part of the mixture gave."""

    documents: Count = 0
    """Different documents."""

    unique_tokens: Count = 0
    """Tokens of those documents, each counted once."""

    tokens: Count = 0
    """Tokens of the stream that it gave."""

    epochs: float = 0.0
    """How often its documents were used, on average."""


class DatasetSummary(ApiModel):
    """What a TokenDataset's artifact holds."""

    tokens: Count = 0
    """Tokens of the training stream."""

    sequences: Count = 0
    """Sequences of the training stream."""

    blocks: Count = 0
    """Blocks of the training stream."""

    sequence_length: PositiveCount
    """Tokens of a sequence."""

    validation_sequences: Count = 0
    """Sequences that are held out."""

    vocabulary_size: PositiveCount
    """Ids of the tokenizer."""

    parts: list[PartSummary] = []
    """The parts of the mixture, in order."""


class TokenDatasetStatus(DataStatus):
    """What the operator saw."""

    summary: DatasetSummary | None = None
    """What the artifact holds."""
