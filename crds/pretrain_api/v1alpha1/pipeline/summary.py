"""Summary of a DataPipeline's artifact: what was read, dropped and kept."""

from typing import Annotated

from pydantic import Field

from pretrain_api.meta import ApiModel, Count


class LanguageSummary(ApiModel):
    """Content of an artifact in one language."""

    documents: Count = 0
    """Documents."""

    characters: Count = 0
    """Unicode characters."""

    bytes: Count = 0
    """Bytes of UTF-8."""


class ModelSummary(ApiModel):
    """A model that was trained on labelled samples, measured on a tenth that it never saw."""

    samples: Count = 0
    """Different samples, held-out ones included."""

    accuracy: dict[str, float] = {}
    """Share of the held-out samples of each class that the model tells right."""

    calibration_error: float = 0.0
    """Mean distance between the model's confidence and its accuracy, on held-out samples."""


class PipelineSummary(ApiModel):
    """Content of a DataPipeline's artifact, and what was dropped."""

    read: Count = 0
    """Documents read."""

    kept: Count = 0
    """Documents in the artifact."""

    rejected: dict[str, Count] = {}
    """Documents dropped, by rule (its position and kind: `1-length`)."""

    exact_duplicates: Count = 0
    """Documents dropped as exact duplicates."""

    near_duplicates: Count = 0
    """Documents dropped as near-duplicates."""

    scrubbed: dict[str, Count] = {}
    """Pieces of personal data that were masked, or dropped their document, by kind."""

    models: dict[str, ModelSummary] = {}
    """Models that were trained: `quality`, `domain`."""

    quarantined: Count = 0
    """Records that could not be read as a document; they lie in the artifact's `quarantine/`."""

    languages: dict[str, LanguageSummary] = {}
    """Kept documents by language."""

    warnings: Annotated[list[str], Field(max_length=20)] = []
    """What people should look at: rules that removed much of a language, damaged files."""
