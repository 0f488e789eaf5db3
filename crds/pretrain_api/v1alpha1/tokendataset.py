"""TokenDataset: documents become fixed-size blocks of token sequences in a chosen mixture."""

from typing import Annotated, Literal

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
    """One part of the mixture."""

    pipeline_ref: Reference
    """DataPipeline that the documents come from."""

    where: Where = Where()
    """Which of its documents."""

    weight: Annotated[float, Field(ge=0.000001, le=1_000_000.0)] = 1.0
    """Share of the stream's tokens, relative to the other parts."""


OTHER_SET = "other"
"""Name of the validation set of documents that no named one selects."""


class ValidationSet(ApiModel):
    """Held-out documents that are measured by themselves."""

    name: Annotated[
        str, Field(max_length=32, pattern=r"^[a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$")
    ]
    """Its name in status, metrics and log."""

    pipeline_ref: Reference | None = None
    """Only documents of this DataPipeline, one of the mixture's. Unset means of all."""

    where: Where = Where()
    """Which of its documents."""


class Validation(ApiModel):
    """Documents that are held out, to measure perplexity."""

    fraction: Annotated[float, Field(ge=0.0, le=0.5)] = 0.001
    """Share of the texts, by their hash, that never enters training: whatever ids their copies
    have, in all parts and pipelines, with their near-duplicates."""

    max_tokens: Quantity = 10_000_000
    """Most tokens of each validation set."""

    sets: Annotated[list[ValidationSet], Field(max_length=8)] = []
    """Sets whose perplexity is measured separately, such as one for each language, or general and
    new text. A document belongs to the first that selects it; the rest make the set `other`. Empty
    means one set of all."""


class Reuse(ApiModel):
    """How often documents may be used."""

    max_uses: PositiveCount = 4
    """Uses of a document, on average over its part, above which the status warns. Models learn
    little from more (Muennighoff et al. 2023)."""

    weight_per_use: Annotated[float, Field(ge=0.01, le=1.0)] = 1.0
    """What the weight of a part is multiplied by each time it has passed through its documents, so
    that parts with new text take the place of repetition. 1 keeps the mixture."""


class Curriculum(ApiModel):
    """The order of a part's documents: it holds from block to block, as the trainer shuffles the
    sequences of a block. A part that repeats is in this order each time."""

    by: Literal["quality", "length"]
    """`quality`: the score of the pipeline's quality model. `length`: tokens."""

    order: Literal["ascending", "descending"] = "ascending"
    """Which come first: the smallest values, or the largest."""

    randomness: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    """How far chance moves a document: 0 sorts exactly, 1 leaves no order."""


class TokenDatasetSpec(ApiModel):
    """Tokenized documents, mixed and packed into blocks of sequences."""

    tokenizer_ref: Reference
    """Tokenizer that turns text into ids."""

    mixture: Annotated[list[MixturePart], Field(min_length=1, max_length=64)]
    """Parts that the stream is mixed from."""

    tokens: Quantity
    """Length of the stream; where a part has fewer unique tokens, its documents repeat."""

    block_tokens: Quantity = 1_000_000_000
    """Length of a block, the unit of production, checkpoint and rollback; rounded down to whole
    sequences."""

    sequence_length: Annotated[int, Field(ge=8, le=16_777_216)]
    """Tokens of a sequence."""

    reuse: Reuse = Reuse()
    """How often documents may be used."""

    curriculum: Curriculum | None = None
    """Order of the documents of each part. Unset means random."""

    validation: Validation = Validation()
    """Documents that are held out."""

    seed: NonNegative = 0
    """Seed of the order of documents."""

    tasks: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Tasks that tokenizing is divided into (completions of the Indexed Job).
    A task is retried three times after errors, and three times after its node evicted the pod for
    lack of memory or disk; after preemptions and drained nodes, without limit. The back-off doubles
    from 10 seconds to 10 minutes."""

    parallelism: Positive | None = None
    """Tasks that run at once. Unset means all."""

    output: Location
    """Folder that gets the artifact, below `tokendataset-<name>/<digest>/`."""

    profile_ref: Reference | None = None
    """ComputeProfile of the pods. Unset means the cluster's default."""


class PartSummary(ApiModel):
    """Documents and tokens of one part of the mixture."""

    documents: Count = 0
    """Documents, each counted once."""

    unique_tokens: Count = 0
    """Tokens of those documents, each counted once."""

    tokens: Count = 0
    """Tokens of the stream that come from this part."""

    epochs: float = 0.0
    """How often its documents were used, on average."""


class DatasetSummary(ApiModel):
    """Content of a TokenDataset's artifact."""

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

    warnings: Annotated[list[str], Field(max_length=20)] = []
    """What people should know: parts with texts in common, parts that repeat too often."""


class TokenDatasetStatus(DataStatus):
    """Observed state of a TokenDataset."""

    summary: DatasetSummary | None = None
    """Content of the artifact."""
