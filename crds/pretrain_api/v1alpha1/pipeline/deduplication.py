"""Deduplication of a DataPipeline: which duplicates are dropped, and which of them stays."""

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.meta import ApiModel


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
