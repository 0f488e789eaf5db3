"""Count the documents that rules drop, and sample some of them for the report.

The sample consists of the documents with the smallest hashes, so it does not depend on the number
of tasks.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from typing import Any

import xxhash

from pretrain_workloads.data.batch import Batch

_SAMPLES_PER_RULE = 20

_SAMPLE_CHARACTERS = 400
"""Characters of a sampled document that are kept."""

type Samples = dict[str, list[dict[str, Any]]]
"""Sampled documents by rule, in the order of their hashes."""


class Rejects:
    """The documents that the rules of one task dropped: all in a table, some with their text.

    Args:
        record: Takes the columns of the dropped documents (`shards.DROPPED`).
    """

    def __init__(self, record: Callable[[dict[str, Any]], None]) -> None:
        self.counts: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}
        """CPU-seconds of each rule."""
        self.by_language: dict[str, dict[str, Counter[str]]] = {}
        """Documents and bytes that each rule dropped, by language."""
        self._record = record
        self._samples: dict[str, list[tuple[int, _Sample]]] = {}

    def add(self, rule: str, batch: Batch, reasons: list[str]) -> None:
        """Record dropped documents, and keep the texts of those with the smallest hashes."""
        self.counts[rule] += len(batch)
        losses = self.by_language.setdefault(rule, {})
        for language, size in zip(batch.languages, batch.sizes.tolist(), strict=True):
            counts = losses.setdefault(language, Counter())
            counts["documents"] += 1
            counts["bytes"] += size
        self._record(dropped_rows(rule, batch, reasons))
        for row, reason in enumerate(reasons):
            self._sample(rule, batch, row, reason)

    def add_seconds(self, rule: str, seconds: float) -> None:
        """Add the CPU time that a rule took for a batch."""
        self.seconds[rule] = self.seconds.get(rule, 0.0) + seconds

    def _sample(self, rule: str, batch: Batch, row: int, reason: str) -> None:
        order = xxhash.xxh3_64_intdigest(f"{batch.origins[row]}\n{batch.texts[row][:200]}".encode())
        largest_first = self._samples.setdefault(rule, [])
        if len(largest_first) < _SAMPLES_PER_RULE or -largest_first[0][0] > order:
            sample = _Sample(
                id=batch.ids[row],
                language=batch.languages[row],
                source=batch.sources[row],
                reason=reason,
                text=batch.texts[row][:_SAMPLE_CHARACTERS],
                order=order,
            )
            heapq.heappush(largest_first, (-order, sample))
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


def dropped_rows(rule: str, batch: Batch, reasons: list[str]) -> dict[str, Any]:
    """Return the columns of `shards.DROPPED` for documents that `rule` dropped."""
    return {
        "id": batch.ids,
        "origin": batch.origins,
        "language": batch.languages,
        "domain": batch.domains,
        "source": batch.sources,
        "bytes": batch.sizes,
        "characters": batch.characters,
        "rule": [rule] * len(batch),
        "reason": reasons,
        "kept": [None] * len(batch),
        "similarity": [None] * len(batch),
    }


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
