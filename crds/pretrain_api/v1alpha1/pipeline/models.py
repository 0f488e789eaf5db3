"""Models of a DataPipeline: they score the quality of documents, and tell their domain."""

from typing import Annotated

from pydantic import Field, model_validator

from pretrain_api.meta import ApiModel, Fraction, Language, Location, NonNegative
from pretrain_api.v1alpha1.pipeline.sources import Source

SampleSources = Annotated[list[Source], Field(max_length=32)]


class OnnxModel(Location):
    """A model in ONNX form, such as a BERT with a head for classification.

    `uri` is a folder with `model.onnx` and `tokenizer.json` (Hugging Face). It runs on the CPU, far
    slower than the linear models.
    """

    positive_class: NonNegative = 1
    """Class whose probability is the score, of a model with several outputs."""

    maximum: Annotated[float, Field(ge=0.001)] | None = None
    """Output that means a score of 1, of a model with one output (a regression). Unset means that
    the output is the log-odds."""

    max_tokens: Annotated[int, Field(ge=8, le=8192)] = 512
    """Tokens at the start of a document that the model sees."""


class QualityFloor(ApiModel):
    """The least quality of some documents."""

    languages: Annotated[list[Language], Field(max_length=64)] = []
    """Languages that it is for. Empty means all."""

    domains: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=64)] = []
    """Domains that it is for. Empty means all."""

    minimum: Fraction | None = None
    """Least score. Set this or `fraction`."""

    fraction: Fraction | None = None
    """Share of the documents that stay, the best first; exact duplicates do not count. Set this or
    `minimum`."""

    @model_validator(mode="after")
    def _one_limit(self) -> "QualityFloor":
        if (self.minimum is None) == (self.fraction is None):
            raise ValueError("set exactly one of minimum and fraction")
        return self


class QualityModel(ApiModel):
    """A model that scores documents from 0 to 1: the probability that a document is good.

    It is a linear model over hashed words and characters, trained on samples and calibrated on a
    tenth of them; or a model of yours; or, with neither, the one that comes with this software,
    which knows Chinese and English prose of 200 characters and more: other documents get no score.
    """

    good: SampleSources = []
    """Samples of good documents. Set with `bad`."""

    bad: SampleSources = []
    """Samples of bad documents. Set with `good`."""

    onnx: OnnxModel | None = None
    """A model of yours, instead of samples."""

    keep: Annotated[list[QualityFloor], Field(max_length=64)] = []
    """Least quality by language and domain; the first entry that is for a document counts.
    Documents without a score stay. Empty means that scores drop nothing."""

    @model_validator(mode="after")
    def _one_origin(self) -> "QualityModel":
        if bool(self.good) != bool(self.bad):
            raise ValueError("set both good and bad, or neither")
        if self.good and self.onnx is not None:
            raise ValueError("set either good and bad, or onnx")
        return self


class DomainModel(ApiModel):
    """A linear model that tells the domain of documents, trained on samples."""

    samples: Annotated[list[Source], Field(min_length=1, max_length=64)]
    """Samples; `domain` of a source, or its `domainField`, says which domain they are of."""

    min_score: Fraction = 0.5
    """Least confidence; a document below it keeps the domain of its source."""


class TextModels(ApiModel):
    """Models that look at the documents which pass the rules; the domain is told first."""

    quality: QualityModel | None = None
    """Score the quality of documents, for `keep`, for `deduplication.near.keep` and for later use
    (column `quality`). Unset means that there are no scores."""

    domain: DomainModel | None = None
    """Tell the domain of documents, for deduplication and mixing. Unset means that it is that of
    the source."""

    @property
    def sources(self) -> list[Source]:
        """Return all samples."""
        quality = [*self.quality.good, *self.quality.bad] if self.quality else []
        return [*quality, *(self.domain.samples if self.domain else [])]
