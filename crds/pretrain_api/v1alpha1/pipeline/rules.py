"""Rules of a DataPipeline: what a document must be like to stay."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from pretrain_api.meta import ApiModel, Fraction, Language, NonNegative, Positive


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
