"""Samples of a class: the documents with the smallest hashes of all that its sources hold."""

import heapq
from collections.abc import Iterable

import xxhash

from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.sources.reader import read_source
from pretrain_workloads.data.text.normalisation import normalise
from pretrain_workloads.failures import UserError

MOST = 32_000
"""Samples of all classes together that are used, the same number of each class."""

MOST_CLASSES = 64

LEAST = 50
"""Samples that a class must have."""

_HALF = 1024
"""Of a longer sample so many characters at the start and in the middle are kept: with `MOST`, this
bounds the memory of training."""

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
        UserError: If there are fewer than two classes or too many, or too few samples of one.
        BadData: If a file is damaged.
    """
    classes: dict[str, _SmallestHashes] = {}
    for label, source in labelled:
        for _, record in read_source(field, source, limit):
            name = label or record.domain or source.domain
            if name not in classes:
                classes[name] = _SmallestHashes()
                for samples in classes.values():
                    samples.shrink(MOST // max(2, len(classes)))
            if len(classes) > MOST_CLASSES:
                raise UserError(
                    f"{field}: more than {MOST_CLASSES} classes, such as {name[:40]}; check domain "
                    "and domainField of the sources"
                )
            classes[name].add(normalise(excerpt(record.text)))
    found = {name: samples.sorted() for name, samples in classes.items()}
    few = [f"{name} has {len(of)}" for name, of in sorted(found.items()) if len(of) < LEAST]
    if len(found) < 2 or few:
        problem = ", ".join(few) or f"{', '.join(found) or 'no'} is the only class"
        raise UserError(
            f"{field}: {problem}; two classes or more are needed, and {LEAST} different samples of"
            " each"
        )
    return dict(sorted(found.items()))


class _SmallestHashes:
    """The different texts with the smallest hashes, of all that were added."""

    def __init__(self) -> None:
        self._largest_first: list[tuple[int, str]] = []
        self._hashes: set[int] = set()
        self._most = MOST

    def add(self, text: str) -> None:
        """Add a text, unless it is there already or larger than all of enough others."""
        key = xxhash.xxh3_64_intdigest(text.encode())
        if key not in self._hashes:
            self._hashes.add(key)
            heapq.heappush(self._largest_first, (-key, text))
            self.shrink(self._most)

    def shrink(self, most: int) -> None:
        """Keep at most `most` texts, now and later."""
        self._most = most
        while len(self._largest_first) > most:
            self._hashes.remove(-heapq.heappop(self._largest_first)[0])

    def sorted(self) -> list[Sample]:
        """Return the texts, the smallest hash first."""
        return sorted((-key, text) for key, text in self._largest_first)


def excerpt(text: str) -> str:
    """Return a text, or the start and the middle of a long one."""
    if len(text) <= 2 * _HALF:
        return text
    middle = len(text) // 2
    return f"{text[:_HALF]}\n{text[middle : middle + _HALF]}"
