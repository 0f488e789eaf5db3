"""Warn about mixtures that train on a text more often than the manifest seems to say."""

from itertools import combinations

import numpy as np

from pretrain_api.v1alpha1.tokendataset import PartSummary, TokenDatasetSpec
from pretrain_workloads.dataset.mixture import Hashes, Numbers

_MOST_WARNINGS = 20


def mixture_warnings(
    spec: TokenDatasetSpec, parts: list[PartSummary], documents: list[Numbers], hashes: Hashes
) -> list[str]:
    """Return what people should know about the parts of a mixture.

    Args:
        spec: The spec.
        parts: Documents and tokens of each part.
        documents: Numbers of the documents of each part.
        hashes: Hash of the text of each document.
    """
    warnings = []
    for number, part in enumerate(parts):
        if part.epochs > spec.reuse.max_uses:
            warnings.append(
                f"mixture[{number}] repeats its documents {part.epochs:g} times, more than "
                f"reuse.maxUses = {spec.reuse.max_uses}; lower its weight, or add text"
            )
    texts = [np.unique(hashes[numbers]) for numbers in documents]
    for (first, left), (second, right) in combinations(enumerate(texts), 2):
        shared = len(np.intersect1d(left, right, assume_unique=True))
        if shared:
            share = shared / min(len(left), len(right))
            warnings.append(
                f"mixture[{first}] and mixture[{second}] have {shared:,} texts in common "
                f"({share:.0%} of the smaller): they are trained on by both"
            )
    return warnings[:_MOST_WARNINGS]
