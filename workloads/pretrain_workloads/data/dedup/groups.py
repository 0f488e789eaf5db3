"""Candidates of a band: the pairs of documents with equal keys, without a comparison of all.

Exact copies leave first: of the documents with one key and one text, the first represents all.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.dedup.signature_files import Column64
from pretrain_workloads.data.text.compiled import kernel

_NEIGHBOURS = 8
"""In a group with one key, a document is compared with the best one and with this many that follow
it. A template with a million pages would otherwise give half a million million pairs."""

_BUCKET_DOCUMENTS = 32
"""Documents with keys in one bucket, about: buckets are sorted one by one."""

type Pairs = npt.NDArray[np.uint64]
"""Pairs of document numbers, packed: the smaller in the upper 32 bits, the larger in the lower."""


def candidate_pairs(keys: Column64, hashes: Column64, scores: npt.NDArray[np.float64]) -> Pairs:
    """Return pairs of documents with equal keys, ascending, none twice.

    They connect every document with the best of its key, whose score is highest.

    Args:
        keys: Key of each document; documents with key 0 are in no pair.
        hashes: Hash of the text of each document.
        scores: Score of each document; among equals the first document is the best.
    """
    numbers = _in_groups(keys)
    pairs = np.empty(_count(keys, numbers) * (1 + _NEIGHBOURS), np.uint64)
    count = _pair_up(keys, hashes, scores, numbers, pairs)
    return np.unique(pairs[:count])


def unpack(pairs: Pairs) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the smaller and the larger number of each pair."""
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(
        np.int64
    )


def _in_groups(keys: Column64) -> npt.NDArray[np.uint32]:
    """Return the numbers of documents so that equal keys lie together."""
    bits = max(0, int(np.log2(max(1, len(keys) // _BUCKET_DOCUMENTS))))
    ends = np.zeros((1 << bits) + 1, np.int64)
    numbers = np.empty(len(keys), np.uint32)
    _bucket(keys, bits, ends, numbers)
    _sort_buckets(keys, ends, numbers)
    return numbers


@kernel
def _bucket_of(key: Any, bits: Any) -> Any:
    mixed = key * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(64 - bits)) if bits else 0


@kernel
def _bucket(keys: Any, bits: Any, ends: Any, numbers: Any) -> Any:
    """Distribute documents to buckets by a hash of their keys, in the order of their numbers."""
    for i in range(keys.shape[0]):
        ends[_bucket_of(keys[i], bits) + 1] += 1
    for i in range(1, ends.shape[0]):
        ends[i] += ends[i - 1]
    for i in range(keys.shape[0]):
        bucket = _bucket_of(keys[i], bits)
        numbers[ends[bucket]] = i
        ends[bucket] += 1
    for i in range(ends.shape[0] - 1, 0, -1):
        ends[i] = ends[i - 1]
    ends[0] = 0


@kernel
def _sort_buckets(keys: Any, ends: Any, numbers: Any) -> Any:
    for bucket in range(ends.shape[0] - 1):
        part = numbers[ends[bucket] : ends[bucket + 1]]
        if part.shape[0] > 1:
            part[:] = part[np.argsort(keys[part], kind="mergesort")]


@kernel
def _group_end(keys: Any, numbers: Any, start: Any) -> Any:
    end = start + 1
    while end < numbers.shape[0] and keys[numbers[end]] == keys[numbers[start]]:
        end += 1
    return end


@kernel
def _count(keys: Any, numbers: Any) -> Any:
    """Return the number of documents that share their key with another."""
    start, count = 0, 0
    while start < numbers.shape[0]:
        end = _group_end(keys, numbers, start)
        if end - start > 1 and keys[numbers[start]] != np.uint64(0):
            count += end - start
        start = end
    return count


@kernel
def _distinct(hashes: Any, group: Any) -> Any:
    """Move the first document of each text to the front of `group`; return how many there are."""
    if group.shape[0] == 2:
        return 1 if hashes[group[0]] == hashes[group[1]] else 2
    group[:] = group[np.argsort(hashes[group], kind="mergesort")]
    count = 1
    for i in range(1, group.shape[0]):
        if hashes[group[i]] != hashes[group[count - 1]]:
            group[count] = group[i]
            count += 1
    return count


@kernel
def _packed(left: Any, right: Any) -> Any:
    small, large = np.uint64(min(left, right)), np.uint64(max(left, right))
    return (small << np.uint64(32)) | large


@kernel
def _pair_up(keys: Any, hashes: Any, scores: Any, numbers: Any, pairs: Any) -> Any:
    start, count = 0, 0
    while start < numbers.shape[0]:
        end = _group_end(keys, numbers, start)
        if end - start > 1 and keys[numbers[start]] != np.uint64(0):
            group = numbers[start:end].copy()
            size = _distinct(hashes, group)
            group = np.sort(group[:size])
            group = group[np.argsort(-scores[group], kind="mergesort")]
            for i in range(1, size):
                pairs[count] = _packed(group[0], group[i])
                count += 1
                for j in range(i + 1, min(size, i + 1 + _NEIGHBOURS)):
                    pairs[count] = _packed(group[i], group[j])
                    count += 1
        start = end
    return count
