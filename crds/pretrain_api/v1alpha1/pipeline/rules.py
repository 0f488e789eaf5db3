"""Rules of a DataPipeline: what a document must be like to stay."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator
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


class CharacterRatioRule(ApiModel):
    """Keep documents with a certain share of a kind of characters."""

    of: Literal["han", "latin", "digits", "symbols", "whitespace"]
    """Kind of characters. Symbols are all that are no letters, digits or white space."""

    min: Fraction = 0.0
    """Least share of all characters."""

    max: Fraction = 1.0
    """Largest share of all characters."""


class UrlsRule(ApiModel):
    """Drop documents that consist of links."""

    max_per_thousand_characters: Annotated[float, Field(ge=0.0)] = 4.0
    """Most URLs in 1,000 characters."""


class PhrasesRule(ApiModel):
    """Drop documents with certain phrases."""

    drop: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256)]],
        Field(min_length=1, max_length=2000),
    ]
    """Phrases, as they stand in the text; letter case counts."""

    max_per_thousand_characters: Annotated[float, Field(ge=0.0)] = 0.0
    """Most occurrences of all phrases in 1,000 characters. 0 means that one is too many."""


class RegexRule(ApiModel):
    """Drop documents by a regular expression.

    Expressions are matched in linear time by Hyperscan, which knows no back-references and no
    look-around; its `\\w`, `\\d` and `\\b` are those of ASCII.
    """

    drop: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    """Documents in which it matches are dropped."""

    require: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    """Documents in which it does not match are dropped."""


class LinesRule(ApiModel):
    """Drop documents by their lines: minified code, tables of data, menus, cut-off snippets."""

    max_mean_characters: Positive | None = None
    """Most characters of a line, on average. Unset means no limit."""

    max_characters: Positive | None = None
    """Most characters of the longest line. Unset means no limit."""

    max_bullet_fraction: Fraction | None = None
    """Most of the lines that may start with a bullet. Unset means no limit."""

    max_ellipsis_fraction: Fraction | None = None
    """Most of the lines that may end with an ellipsis. Unset means no limit."""

    min_punctuated_fraction: Fraction | None = None
    """Least share of the lines that end with a punctuation mark, Chinese ones included. Unset means
    no limit."""


class CodeRule(ApiModel):
    """Drop source files that programs wrote or that hold little text, and cut licences."""

    drop_generated: bool = True
    """Whether files are dropped whose first five lines say that they are generated."""

    min_alphanumeric_fraction: Fraction = 0.25
    """Least share of letters and digits. 0 means no limit."""

    cut_licence: bool = False
    """Whether the first comment of a file is cut if it is about copyright or a licence."""


class DatatroveRule(ApiModel):
    """Run a block of the datatrove library.

    A filter drops documents; a formatter or an extractor changes their text. Blocks see one
    document at a time, and most are far slower than the rules above.
    """

    step: Annotated[
        str,
        Field(
            pattern=r"^datatrove\.pipeline\.(filters|formatters|extractors)\.[A-Za-z0-9_.]+$",
            max_length=256,
        ),
    ]
    """Import path of the class, below `datatrove.pipeline`."""

    arguments: Annotated[
        dict[str, Any],
        WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    ] = {}
    """Arguments of its constructor, by name."""


class DataRule(ApiModel):
    """One rule of the pipeline; exactly one of its kinds is set."""

    length: LengthRule | None = None
    """Keep documents of a certain length."""

    language_id: LanguageIdRule | None = None
    """Detect the language, and keep some languages."""

    repetition: RepetitionRule | None = None
    """Drop documents that repeat themselves."""

    character_ratio: CharacterRatioRule | None = None
    """Keep documents with a certain share of a kind of characters."""

    urls: UrlsRule | None = None
    """Drop documents that consist of links."""

    phrases: PhrasesRule | None = None
    """Drop documents with certain phrases."""

    regex: RegexRule | None = None
    """Drop documents by a regular expression."""

    lines: LinesRule | None = None
    """Drop documents by their lines."""

    code: CodeRule | None = None
    """Drop source files that programs wrote, and cut licences; set `languages: [code]`."""

    datatrove: DatatroveRule | None = None
    """Run a block of the datatrove library."""

    languages: Annotated[list[Language], Field(max_length=64)] = []
    """Languages that the rule looks at. Empty means all."""

    domains: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=64)] = []
    """Domains that the rule looks at. Empty means all."""

    @model_validator(mode="after")
    def _one_kind(self) -> "DataRule":
        kinds = [to_camel(name) for name in self.kinds()]
        count = sum(getattr(self, name) is not None for name in self.kinds())
        if count != 1:
            listed = f"{', '.join(kinds[:-1])} and {kinds[-1]}"
            raise ValueError(f"set exactly one of {listed}, not {count} of them")
        return self

    @property
    def kind(self) -> str:
        """Return the name of the kind that is set, as written in the manifest."""
        return next(to_camel(name) for name in self.kinds() if getattr(self, name) is not None)

    @classmethod
    def kinds(cls) -> list[str]:
        """Return the fields of which exactly one is set: all but the conditions."""
        return [name for name in cls.model_fields if name not in ("languages", "domains")]
