"""Apply the rules in order; a document is charged to the first one that drops it."""

import heapq
from collections import Counter
from itertools import batched
from typing import Any

import xxhash
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from pretrain_api.v1alpha1.datapipeline import DataRule, LanguageIdRule, LengthRule
from pretrain_workloads.data.executor import Documents

_BATCH = 256
"""Documents that the kernels see at once."""

_SAMPLES = 20
"""Dropped documents that are kept for reading, for each rule."""

_SHOWN = 400
"""Characters of such a document."""


class Rejects:
    """What the rules dropped: a count, and a sample that does not depend on the cut into tasks."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._samples: dict[str, list[tuple[int, dict[str, Any]]]] = {}

    def add(self, rule: str, document: Document, reason: str) -> None:
        """Count a dropped document, and maybe keep it as a sample."""
        self.counts[rule] += 1
        order = xxhash.xxh3_64_intdigest(f"{document.id}\n{document.text[:200]}".encode())
        samples = self._samples.setdefault(rule, [])
        if len(samples) < _SAMPLES or -samples[0][0] > order:
            shown = {
                "id": document.id,
                "language": document.metadata["language"],
                "source": document.metadata["source"],
                "reason": reason,
                "text": document.text[:_SHOWN],
                "order": order,
            }
            heapq.heappush(samples, (-order, _Shown(shown)))
            if len(samples) > _SAMPLES:
                heapq.heappop(samples)

    @property
    def samples(self) -> dict[str, list[dict[str, Any]]]:
        """Return the samples of each rule, those with the smallest hashes first."""
        return {
            rule: [shown for _, shown in sorted(kept, key=lambda item: -item[0])]
            for rule, kept in sorted(self._samples.items())
        }


class _Shown(dict[str, Any]):
    """A sample that a heap may compare: equal hashes are equal documents."""

    def __lt__(self, other: object) -> bool:
        return False


def merge_samples(tasks: list[dict[str, list[dict[str, Any]]]]) -> dict[str, list[dict[str, Any]]]:
    """Return the samples of all tasks as one task would have drawn them."""
    rules = sorted({rule for samples in tasks for rule in samples}, key=_position)
    return {
        rule: sorted(
            (shown for samples in tasks for shown in samples.get(rule, [])),
            key=lambda shown: int(shown["order"]),
        )[:_SAMPLES]
        for rule in rules
    }


def _position(rule: str) -> tuple[int, str]:
    return int(rule.partition("-")[0]), rule


def rule_key(position: int, rule: DataRule) -> str:
    """Return the name of a rule in counts: its position from 1, and its kind."""
    return f"{position}-{rule.kind}"


class ApplyRules(PipelineStep):  # type: ignore[misc]
    """Drops documents, batch by batch."""

    name = "rules"
    type = "filter"

    def __init__(self, rules: list[DataRule], rejects: Rejects) -> None:
        super().__init__()
        self._rules = [(rule_key(i, rule), rule) for i, rule in enumerate(rules, 1)]
        self._rejects = rejects

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield the documents that all rules keep."""
        for batch in batched(data, _BATCH):
            alive = list(batch)
            for key, rule in self._rules:
                alive = self._apply(key, rule, alive)
            yield from alive

    def _apply(self, key: str, rule: DataRule, documents: list[Document]) -> list[Document]:
        judged = [document for document in documents if _looks_at(rule, document)]
        reasons = dict(zip(map(id, judged), _reasons(rule, judged), strict=True))
        kept = []
        for document in documents:
            if reason := reasons.get(id(document), ""):
                self._rejects.add(key, document, reason)
            else:
                kept.append(document)
        return kept


def _looks_at(rule: DataRule, document: Document) -> bool:
    return (not rule.languages or document.metadata["language"] in rule.languages) and (
        not rule.domains or document.metadata["domain"] in rule.domains
    )


def _reasons(rule: DataRule, documents: list[Document]) -> list[str]:
    """Return why `rule` drops each document; empty for those that it keeps."""
    if rule.length is not None:
        return [_length(rule.length, document.text) for document in documents]
    if rule.language_id is not None:
        return [_language(rule.language_id, document) for document in documents]
    assert rule.repetition is not None
    from pretrain_workloads.data.rules.repetition import excesses, limits_for, measure

    shares = measure([document.text for document in documents])
    languages = [document.metadata["language"] for document in documents]
    limits = {name: limits_for(rule.repetition, name) for name in set(languages)}
    return excesses(shares, [limits[language] for language in languages])


def _length(rule: LengthRule, text: str) -> str:
    if len(text) < rule.min_characters:
        return f"{len(text)} characters, fewer than {rule.min_characters}"
    if rule.max_characters is not None and len(text) > rule.max_characters:
        return f"{len(text)} characters, more than {rule.max_characters}"
    return ""


def _language(rule: LanguageIdRule, document: Document) -> str:
    language, score = document.metadata["language"], document.metadata["score"]
    if rule.keep and language not in rule.keep:
        return f"language {language}, not {', '.join(rule.keep)}"
    if score < rule.min_score:
        return f"language {language} with score {score:.2f}, less than {rule.min_score}"
    return ""
