"""Thresholds of similarity, one for each domain; a budget or the curve moves them together."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.pipeline.deduplication import NearDeduplication
from pretrain_workloads.data.dedup.bands import BUDGET_LOWEST

TOKENS_PER_CHARACTER = {"zh": 1 / 1.5, "ja": 1 / 1.5, "ko": 1 / 1.5, "code": 1 / 3}
"""Tokens of a character, about, by language; `_OTHER` elsewhere. A budget needs no more: the
tokenizer does not exist yet when documents are deduplicated."""

_OTHER = 1 / 4


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of a pipeline."""

    near: NearDeduplication
    floor: float
    """Least similarity of the pairs that are known."""

    @property
    def lowest(self) -> float:
        """Return the least `near.similarity` that a token budget may choose."""
        return min(self.near.similarity, BUDGET_LOWEST)

    def codes(self, domains: npt.NDArray[np.object_]) -> npt.NDArray[np.uint8]:
        """Return for each document the place of its domain's threshold in `limits`."""
        places = {name: place for place, name in enumerate(sorted(self.near.per_domain), 1)}
        return np.fromiter((places.get(d, 0) for d in domains), np.uint8, len(domains))

    def limits(self, similarity: float) -> npt.NDArray[np.float32]:
        """Return all thresholds if `near.similarity` were `similarity`: they move together."""
        near = self.near
        moved = [similarity]
        for name in sorted(near.per_domain):
            moved.append(near.per_domain[name] + similarity - near.similarity)
        limits: npt.NDArray[np.float32] = np.clip(np.round(moved, 6), self.floor, 1.0).astype(
            np.float32
        )
        return limits


def tokens_per_character(language: str) -> float:
    """Return the tokens of a character of text in a language, about."""
    return TOKENS_PER_CHARACTER.get(language, _OTHER)
