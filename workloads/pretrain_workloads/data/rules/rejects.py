"""Count the documents that rules drop, and sample some of them for the report.

The sample consists of the documents with the smallest hashes, so it does not depend on the number
of tasks.
"""

import heapq
from collections import Counter
from typing import Any

import xxhash
from datatrove.data import Document

_SAMPLES_PER_RULE = 20

_SAMPLE_CHARACTERS = 400
"""Characters of a sampled document that are kept."""

type Samples = dict[str, list[dict[str, Any]]]
"""Sampled documents by rule, in the order of their hashes."""


class Rejects:
    """The documents that the rules of one task dropped."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._samples: dict[str, list[tuple[int, _Sample]]] = {}

    def add(self, rule: str, document: Document, reason: str) -> None:
        """Count a dropped document, and keep it if its hash is among the smallest."""
        self.counts[rule] += 1
        order = xxhash.xxh3_64_intdigest(f"{document.id}\n{document.text[:200]}".encode())
        largest_first = self._samples.setdefault(rule, [])
        if len(largest_first) < _SAMPLES_PER_RULE or -largest_first[0][0] > order:
            heapq.heappush(largest_first, (-order, _sample(document, reason, order)))
            if len(largest_first) > _SAMPLES_PER_RULE:
                heapq.heappop(largest_first)

    @property
    def samples(self) -> Samples:
        """Return the sampled documents."""
        return {
            rule: [sample for _, sample in sorted(samples, key=lambda item: -item[0])]
            for rule, samples in sorted(self._samples.items())
        }


class _Sample(dict[str, Any]):
    """A sampled document that a heap can compare: equal hashes are equal documents."""

    def __lt__(self, other: object) -> bool:
        return False


def _sample(document: Document, reason: str, order: int) -> _Sample:
    return _Sample(
        {
            "id": document.id,
            "language": document.metadata["language"],
            "source": document.metadata["source"],
            "reason": reason,
            "text": document.text[:_SAMPLE_CHARACTERS],
            "order": order,
        }
    )


def merge_samples(tasks: list[Samples]) -> Samples:
    """Return the samples that one task would have drawn from the documents of all `tasks`."""
    rules = sorted({rule for samples in tasks for rule in samples}, key=_position)
    return {
        rule: sorted(
            (sample for samples in tasks for sample in samples.get(rule, [])),
            key=lambda sample: int(sample["order"]),
        )[:_SAMPLES_PER_RULE]
        for rule in rules
    }


def _position(rule: str) -> tuple[int, str]:
    return int(rule.partition("-")[0]), rule
