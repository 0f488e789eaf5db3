"""Decontamination of a DataPipeline: documents that hold text of a benchmark are dropped."""

from typing import Annotated

from pydantic import Field

from pretrain_api.meta import ApiModel
from pretrain_api.v1alpha1.pipeline.sources import Source


class Decontamination(ApiModel):
    """Benchmarks whose text must not be trained on."""

    against: Annotated[list[Source], Field(min_length=1, max_length=64)]
    """Files of the benchmarks, read like sources. A benchmark with several fields, such as `prompt`
    and `canonical_solution`, is listed once for each, with its `textField`."""

    ngram: Annotated[int, Field(ge=5, le=64)] = 13
    """Words in a row that a document and a benchmark must share for the document to be dropped."""

    han_ngram: Annotated[int, Field(ge=10, le=128)] = 30
    """The same in characters, for documents in Chinese or Japanese: more, so that a benchmark that
    quotes a poem does not cost every edition of it."""
