"""Samples of a class: the documents with the smallest hashes of all that its sources hold."""

import heapq
from collections.abc import Iterable

import xxhash

from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.sources.reader import read_source
from pretrain_workloads.data.text.normalisation import normalise
from pretrain_workloads.failures import UserError

MOST = 20_000
"""Samples of a class that are used."""

LEAST = 50
"""Samples that a class must have."""

_CHARACTERS = 1 << 16
"""Characters of a sample that are kept; features are taken from windows of it."""

type Sample = tuple[int, str]
"""Hash of a text, and the text."""

type SamplesOf = dict[str, list[Sample]]
"""Samples by class, in the order of their hashes."""


def read_samples(
    field: str, labelled: Iterable[tuple[str | None, Source]], limit: int
) -> SamplesOf:
    """Return the samples of each class.

    Args:
        field: Field of the spec that names the samples, for messages.
        labelled: Sources and their classes; without one, the domain of each record is its class.
        limit: Bytes of the largest record.

    Raises:
        UserError: If there are fewer than two classes, or too few samples of one.
        BadData: If a file is damaged.
    """
    heaps: dict[str, list[tuple[int, str]]] = {}
    for label, source in labelled:
        for _, record in read_source(source, limit):
            name = label or record.domain or source.domain
            text = normalise(record.text[:_CHARACTERS])
            heap = heaps.setdefault(name, [])
            entry = (-xxhash.xxh3_64_intdigest(text.encode()), text)
            if len(heap) < MOST:
                heapq.heappush(heap, entry)
            elif entry > heap[0]:
                heapq.heapreplace(heap, entry)
    found = {name: sorted({(-key, text) for key, text in heap}) for name, heap in heaps.items()}
    few = [f"{name} has {len(of)}" for name, of in sorted(found.items()) if len(of) < LEAST]
    if len(found) < 2 or few:
        problem = ", ".join(few) or f"{', '.join(found) or 'no'} is the only class"
        raise UserError(
            f"{field}: {problem}; two classes or more are needed, and {LEAST} different samples of"
            " each"
        )
    return dict(sorted(found.items()))
