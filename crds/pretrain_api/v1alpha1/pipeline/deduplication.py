"""Deduplication of a DataPipeline: which duplicates are dropped, and which of them stays."""

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.meta import ApiModel
from pretrain_api.quantities import Quantity


class NearDeduplication(ApiModel):
    """Drop near-duplicates (MinHash, verified similarity)."""

    similarity: Annotated[float, Field(ge=0.3, le=1.0)] = 0.8
    """Jaccard similarity of 5-gram sets from which on two documents are duplicates."""

    per_domain: Annotated[
        dict[str, Annotated[float, Field(ge=0.3, le=1.0)]], Field(max_length=64)
    ] = {}
    """Other similarities for some domains; a pair takes the higher of its two documents' values."""

    keep: Literal["highestQuality", "longest", "first"] = "longest"
    """Which of two near-duplicates stays. A document is dropped only for a near-duplicate that
    stays itself: two documents that are merely both similar to a third may both stay. Documents
    without a quality count as the worst; among equals, the first stays."""

    collapse_digits: bool = False
    """Whether a run of digits counts as one digit, so that pages that differ in dates and numbers
    only are near-duplicates."""


class TokenBudget(ApiModel):
    """Choose the similarity that keeps about so many tokens."""

    tokens: Quantity
    """Tokens to keep, estimated from characters (1.5 characters a token in Chinese, Japanese and
    Korean, 4 elsewhere, 3 in code). With fewer documents all stay that `similarity` keeps."""


class Deduplication(ApiModel):
    """Which duplicates are dropped."""

    exact: bool = True
    """Drop documents whose normalised text equals that of an earlier document."""

    near: NearDeduplication | None = None
    """Drop near-duplicates. Unset means they stay."""

    budget: TokenBudget | None = None
    """Lower `near.similarity` (not below 0.5) until about so many tokens are left. Unset means the
    similarity is used as it is. Thresholds of `near.perDomain` move by the same amount."""
