"""DataPipeline: raw sources become clean, deduplicated, labelled documents."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from pretrain_api.meta import (
    ApiModel,
    Count,
    Fraction,
    Language,
    Location,
    Name,
    NonNegative,
    Positive,
    Reference,
)
from pretrain_api.v1alpha1.data_status import DataStatus

Format = Literal["auto", "jsonl", "parquet", "txt"]


class Source(Location):
    """Files of one origin; `uri` may hold `*`, `?` and `**`."""

    name: Name
    """Name of the source; documents carry it."""

    format: Format = "auto"
    """How to read the files. `auto` means by their name: `.jsonl` and `.txt` (also `.gz`, `.zst`),
    `.parquet`. A `.txt` file is one document."""

    text_field: Annotated[str, Field(min_length=1, max_length=128)] = "text"
    """Column or JSON key that holds the text."""

    id_field: Annotated[str, Field(min_length=1, max_length=128)] = "id"
    """Column or JSON key that holds the document's id. Documents without one get their file and
    position."""

    language: Annotated[str, Field(pattern=r"^[a-z]{2,8}$")] = "auto"
    """Language of all documents. `auto` means it is detected for each."""

    domain: Annotated[str, Field(min_length=1, max_length=63)] = "unknown"
    """Subject area that all documents carry, for mixing and for deduplication thresholds."""


class LengthRule(ApiModel):
    """Keep documents of a certain length."""

    min_characters: NonNegative = 0
    """Fewest Unicode characters."""

    max_characters: Positive | None = None
    """Most Unicode characters. Unset means no limit."""


class LanguageIdRule(ApiModel):
    """Detect the language, and keep some languages."""

    keep: Annotated[list[Language], Field(max_length=64)] = []
    """Languages that are kept. Empty means all."""

    min_score: Fraction = 0.0
    """Least confidence of the detection, for documents whose language was not given."""


class RepetitionRule(ApiModel):
    """Drop documents that repeat themselves (Gopher's measures, Rae et al. 2021, table A1).

    Units are characters for Chinese, words for other languages; unset limits take the defaults of
    the document's language.
    """

    max_duplicate_line_fraction: Fraction | None = None
    """Most of the lines that may be repeats of earlier lines."""

    max_duplicate_line_character_fraction: Fraction | None = None
    """Most of the characters that may lie in repeated lines."""

    max_top_ngram_character_fraction: Fraction | None = None
    """Most of the characters that the most frequent n-gram (n = 2, 3 or 4) may cover."""

    max_duplicate_ngram_character_fraction: Fraction | None = None
    """Most of the characters that repeated n-grams (n = 5 … 10) may cover."""


class DataRule(ApiModel):
    """One rule of the pipeline; exactly one of its kinds is set."""

    length: LengthRule | None = None
    """Keep documents of a certain length."""

    language_id: LanguageIdRule | None = None
    """Detect the language, and keep some languages."""

    repetition: RepetitionRule | None = None
    """Drop documents that repeat themselves."""

    languages: Annotated[list[Language], Field(max_length=64)] = []
    """Languages that the rule looks at. Empty means all."""

    domains: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=64)] = []
    """Domains that the rule looks at. Empty means all."""

    @model_validator(mode="after")
    def _one_kind(self) -> "DataRule":
        kinds = [to_camel(name) for name in self._kinds()]
        count = sum(getattr(self, name) is not None for name in self._kinds())
        if count != 1:
            listed = f"{', '.join(kinds[:-1])} and {kinds[-1]}"
            raise ValueError(f"set exactly one of {listed}, not {count} of them")
        return self

    @property
    def kind(self) -> str:
        """Return the name of the kind that is set, as written in the manifest."""
        return next(to_camel(name) for name in self._kinds() if getattr(self, name) is not None)

    @classmethod
    def _kinds(cls) -> list[str]:
        """Return the fields of which exactly one is set: all but the conditions."""
        return [name for name in cls.model_fields if name not in ("languages", "domains")]


class NearDeduplication(ApiModel):
    """Drop near-duplicates (MinHash, verified similarity)."""

    similarity: Annotated[float, Field(ge=0.3, le=1.0)] = 0.8
    """Jaccard similarity of 5-gram sets from which on two documents are duplicates."""

    per_domain: Annotated[
        dict[str, Annotated[float, Field(ge=0.3, le=1.0)]], Field(max_length=64)
    ] = {}
    """Other similarities for some domains; a pair takes the higher of its two documents' values."""

    keep: Literal["highestQuality", "longest", "first"] = "longest"
    """Which document of a cluster stays. Without a score `highestQuality` means the longest."""


class Deduplication(ApiModel):
    """Which duplicates are dropped."""

    exact: bool = True
    """Drop documents whose normalised text equals that of an earlier document."""

    near: NearDeduplication | None = None
    """Drop near-duplicates. Unset means they stay."""


class DataPipelineSpec(ApiModel):
    """Raw sources → clean, deduplicated, labelled documents."""

    sources: Annotated[list[Source], Field(min_length=1, max_length=256)]
    """Where the text comes from."""

    output: Location
    """Folder that gets the artifact, below `datapipeline-<name>/<digest>/`."""

    rules: Annotated[list[DataRule], Field(max_length=128)] = []
    """Rules that a document must pass, in this order; the first that drops it is reported."""

    deduplication: Deduplication = Deduplication()
    """Which duplicates are dropped."""

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


class LanguageSummary(ApiModel):
    """Content of an artifact in one language."""

    documents: Count = 0
    """Documents."""

    characters: Count = 0
    """Unicode characters."""

    bytes: Count = 0
    """Bytes of UTF-8."""


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

    quarantined: Count = 0
    """Records that could not be read as a document; they lie in the artifact's `quarantine/`."""

    languages: dict[str, LanguageSummary] = {}
    """Kept documents by language."""


class DataPipelineStatus(DataStatus):
    """Observed state of a DataPipeline."""

    summary: PipelineSummary | None = None
    """Content of the artifact."""
