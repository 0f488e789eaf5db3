"""Tokenizer: trains a tokenizer on the documents of a DataPipeline."""

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.meta import (
    ApiModel,
    Count,
    Fraction,
    Language,
    Location,
    NonNegative,
    PositiveCount,
    Reference,
)
from pretrain_api.quantities import Quantity
from pretrain_api.v1alpha1.data_status import DataStatus


class TokenizerCorpus(ApiModel):
    """Documents that the tokenizer is trained on."""

    pipeline_ref: Reference
    """DataPipeline whose documents are sampled."""

    sample_bytes: Quantity = 10_000_000_000
    """Most bytes of text that are sampled."""

    language_weights: Annotated[
        dict[Language, Annotated[float, Field(ge=0.0)]], Field(max_length=64)
    ] = {}
    """Shares of the sample. Languages not named have weight 1 if the map is empty, else 0."""


class ExistingTokenizer(Location):
    """A tokenizer that is used with its ids as they are, instead of training one.

    The folder holds `tokenizer.json` of Hugging Face, or one `*.tiktoken` file.
    """

    end_of_document: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Special token that ends every document. Unset means the `eos_token` of
    `tokenizer_config.json`. A `*.tiktoken` file lists no special tokens: this one gets the id after
    its last."""

    max_changed: Fraction = 0.01
    """Largest share of the measured documents that decoding may give back with changes, such as
    Unicode normalisation."""


class CharactersPerToken(ApiModel):
    """Acceptable range of Unicode characters for each token."""

    min: Annotated[float, Field(ge=0.0)] | None = None
    """Fewest. Unset means no limit."""

    max: Annotated[float, Field(ge=0.0)] | None = None
    """Most. Unset means no limit."""


class Acceptance(ApiModel):
    """What a trained tokenizer must reach, measured on documents that it was not trained on.

    A tokenizer that does not is not published: no run can use it.
    """

    characters_per_token: Annotated[dict[Language, CharactersPerToken], Field(max_length=64)] = {}
    """Range by language."""

    max_byte_fallback: Fraction | None = None
    """Largest share of tokens that are single bytes. Unset means no limit."""


class TokenizerSpec(ApiModel):
    """A tokenizer that encodes any text without loss, trained on documents."""

    corpus: TokenizerCorpus
    """Documents that it is trained on; an existing one is only measured on them."""

    existing: ExistingTokenizer | None = None
    """Tokenizer to use instead of training one. `businessTokens` are added to it, unless one makes
    a token of it unreachable. `algorithm` and `splitDigits` have no effect on `tokenizer.json`; a
    `*.tiktoken` file is read with the pattern of `splitDigits`: Qwen's if true, else that of
    cl100k."""

    algorithm: Literal["bpe", "unigram", "byteLevelBpe"] = "bpe"
    """Training algorithm. `bpe` is SentencePiece's, with bytes for rare characters; `byteLevelBpe`
    merges bytes, and splits text before it as Qwen2 and Llama 3 do. `unigram` is refused for now:
    among splits of equal score SentencePiece and the Hugging Face form choose different ones, so
    the exported model would see other ids than the trained one."""

    vocabulary_size: Annotated[int, Field(ge=512, le=1_048_576)]
    """Pieces, special tokens and the 256 bytes included. Of an existing tokenizer: at least its
    ids; the rest are spare."""

    split_digits: bool = True
    """Whether every digit is a piece of its own. If not, pieces of `byteLevelBpe` have up to three
    digits."""

    reserved_tokens: NonNegative = 0
    """Spare ids (`<reserved_0>`, …) for later alignment stages, within `vocabularySize`."""

    business_tokens: Annotated[
        list[Annotated[str, Field(min_length=2, max_length=64, pattern=r"^\S+$")]],
        Field(max_length=10_000),
    ] = []
    """Texts that are always one token each, wherever they stand; they have no white space."""

    acceptance: Acceptance = Acceptance()
    """What the trained tokenizer must reach."""

    output: Location
    """Folder that gets the artifact, below `tokenizer-<name>/<digest>/`."""

    profile_ref: Reference | None = None
    """ComputeProfile of the pods. Unset means the cluster's default."""


class TokenizerSummary(ApiModel):
    """The trained tokenizer, measured on documents outside the sample if there are enough."""

    vocabulary_size: PositiveCount
    """Ids of the tokenizer."""

    end_of_document: Count
    """Id that ends every document."""

    encoder: str = "sentencepiece"
    """Package that encodes documents: `sentencepiece`; or `gigatoken`, if it gave the ids of
    `tokenizers` for all texts that the tokenizer was measured on; or `tokenizers`."""

    begin_of_document: Count | None = None
    """Id of the token for the start of a document, which no document gets. Unset means none."""

    changed: float = 0.0
    """Share of the measured documents that decoding gives back with changes."""

    sampled_bytes: Count = 0
    """Bytes of text that it was trained on."""

    characters_per_token: dict[str, float] = {}
    """Unicode characters for each token, by language."""

    bytes_per_token: dict[str, float] = {}
    """Bytes of UTF-8 for each token, by language: comparable between languages."""

    used_ids: Count = 0
    """Different ids that the measured documents need; the rest of the vocabulary is for other text,
    or wasted."""

    byte_fallback: float = 0.0
    """Share of tokens that are single bytes."""


class TokenizerStatus(DataStatus):
    """Observed state of a Tokenizer."""

    summary: TokenizerSummary | None = None
    """The trained tokenizer."""
