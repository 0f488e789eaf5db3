"""Hold out documents for validation, by their content.

A text is in validation or in training, never in both, whatever ids its copies have and in whichever
pipelines they lie; near-duplicates of one artifact go together, too.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pretrain_workloads.dataset.mixture import Hashes, Numbers, mix

_SALT = 0x5EED


def content_hashes(documents: pa.Table) -> Hashes:
    """Return the lower half of the hash of each text; orders by it do not depend on the tasks."""
    content = b"".join(documents["hash"].to_pylist())
    return np.frombuffer(content, np.uint64).reshape(-1, 2)[:, 0].copy()


def content_groups(hashes: Hashes, artifacts: npt.NDArray[Any], clusters: Numbers) -> Hashes:
    """Return the smallest hash of the texts that are equal or near-duplicates, step by step.

    Args:
        hashes: Hash of each text.
        artifacts: Artifact of each document.
        clusters: Cluster of its near-duplicates in the artifact.
    """
    _, by_text = np.unique(hashes, return_inverse=True)
    pairs = np.stack((artifacts.astype(np.int64), clusters))
    _, by_cluster = np.unique(pairs, axis=1, return_inverse=True)
    groups = hashes
    while True:  # a text in two artifacts joins two clusters, which may join further texts
        joined = _smallest(_smallest(groups, by_cluster.ravel()), by_text)
        if (joined == groups).all():
            return groups
        groups = joined


def _smallest(values: Hashes, groups: Numbers) -> Hashes:
    """Return for each value the smallest of its group."""
    smallest = np.full(int(groups.max(initial=-1)) + 1, np.uint64(2**64 - 1))
    np.minimum.at(smallest, groups, values)
    return smallest[groups]


def hold_out(
    candidates: Numbers, lengths: Numbers, groups: Hashes, fraction: float, min_tokens: int
) -> Numbers:
    """Return the documents that are never trained on, in the order of their groups' hashes.

    They are whole groups, those with the smallest hashes: `fraction` of them, and more until they
    have `min_tokens` tokens, but at most half of all tokens.

    Args:
        candidates: Documents that any part of the mixture selects.
        lengths: Tokens of each document.
        groups: Group of each document (`content_groups`).
        fraction: Share of the groups.
        min_tokens: Fewest tokens to hold out.
    """
    if fraction <= 0 or not len(candidates):
        return np.empty(0, np.int64)
    salted = mix(groups[candidates], _SALT)
    order = np.lexsort((candidates, groups[candidates], salted))
    ordered, salted = candidates[order], salted[order]
    tokens = np.cumsum(lengths[ordered])
    ends = np.append(np.flatnonzero(salted[1:] != salted[:-1]) + 1, len(ordered))
    of_fraction = int(np.searchsorted(salted, np.uint64(fraction * 2**64)))
    enough = int(ends[np.searchsorted(tokens[ends - 1], min_tokens).clip(max=len(ends) - 1)])
    within_half = ends[tokens[ends - 1] <= tokens[-1] // 2]
    half = int(within_half[-1]) if len(within_half) else 0
    return ordered[: max(of_fraction, min(enough, half))]


def first_of_groups(documents: Numbers, groups: Hashes) -> Numbers:
    """Return the first document of each group, in the order of `documents`: each text once."""
    _, first = np.unique(groups[documents], return_index=True)
    return documents[np.sort(first)]
