"""Apply the kinds of personal data to a batch: mask, count, sample, or drop documents."""

import hashlib
import heapq
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from pretrain_api.v1alpha1.pipeline.scrub import Scrub
from pretrain_workloads.data.batch import Batch, Rows
from pretrain_workloads.data.scrub.kinds import ACTIONS, KINDS, PersonalDataKind
from pretrain_workloads.data.scrub.prefilter import prefilter

_SAMPLES = 5
"""Masked places of each kind that are kept for people to read."""

_CONTEXT = 30
"""Characters around a sampled place."""

_BEFORE = 40
"""Characters before a match that its check may look at."""

_ORIGIN_LINE = re.compile(
    r"^[ \t\u3000]*(?:[（(【\[]?(?:本文|文章|内容)?(?:转载自|转自|来源于|摘自|转载于)"
    r"|责任编辑|文章来源|本文来源|原文链接|编辑[:：]|来源[:：])[^\n]{0,80}\n?",
    re.M,
)
_REFERENCES = re.compile(
    r"^[ \t#*]*(?:References|REFERENCES|Bibliography|参考文献|参考资料)[ \t:：*]*\n"
    r"(?=\s*(?:\[?1[\].、 ]|\[|-|\*))",
    re.M,
)
_LAST_PART = 0.5
"""Part of a text, from its start, in which no list of references begins."""


@dataclass(frozen=True)
class KindSearch:
    """One pattern of a kind that is not kept."""

    name: str
    kind: PersonalDataKind
    pattern: re.Pattern[str]
    drops: bool
    """Whether a match drops the document."""

    @property
    def action_name(self) -> str:
        """Return the kind's name in the API."""
        return ACTIONS.get(self.name, self.name)


class Scrubber:
    """Scrubs batches, and counts what it found.

    Args:
        spec: What to do with each kind.
    """

    def __init__(self, spec: Scrub) -> None:
        self._spec = spec
        actions = {name: getattr(spec, ACTIONS.get(name, name)) for name in KINDS}
        self._searches = [
            KindSearch(name, KINDS[name], pattern, actions[name] == "drop")
            for name in KINDS
            if actions[name] != "keep"
            for pattern in KINDS[name].patterns
        ]
        patterns = tuple(search.pattern for search in self._searches)
        self._prefilter = prefilter(patterns) if patterns else None
        listed = "|".join(re.escape(name) for name in sorted(spec.names, key=len, reverse=True))
        self._names = re.compile(listed) if listed else None
        self.counts: Counter[str] = Counter()
        self._samples: dict[str, list[tuple[int, str]]] = {}

    @property
    def is_idle(self) -> bool:
        """Return whether everything is kept."""
        spec = self._spec
        keeps = spec.boilerplate == "keep" and spec.references == "keep"
        return not self._searches and self._names is None and keeps

    @property
    def samples(self) -> dict[str, list[str]]:
        """Return some masked places of each kind, without the data itself."""
        return {kind: [text for _, text in sorted(s)] for kind, s in sorted(self._samples.items())}

    def scrub(self, batch: Batch) -> tuple[Batch, Rows, list[str]]:
        """Return the batch with scrubbed texts, the rows to drop, and why each is dropped."""
        texts, prompts = list(batch.texts), batch.prompts.copy()
        rows, reasons = [], []
        for row, text in enumerate(batch.texts):
            size = int(prompts[row])
            prompt, first = self._scrubbed(text[:size]) if size else ("", "")
            rest, second = self._scrubbed(text[size:])
            texts[row], prompts[row] = prompt + rest, len(prompt)
            if first or second:
                rows.append(row)
                reasons.append(f"holds {first or second}")
        changed = batch.with_texts(texts).with_prompts(prompts)
        return changed, np.array(rows, np.int64), reasons

    def _scrubbed(self, text: str) -> tuple[str, str]:
        """Return a text without personal data, and the kind for which to drop it, or nothing."""
        dropped = ""
        for number in sorted(self._prefilter.candidates(text)) if self._prefilter else ():
            search = self._searches[number]
            text, count = self._masked(search, text)
            if count and search.drops:
                dropped = dropped or search.action_name
        if self._names is not None:
            text, count = self._names.subn("<name>", text)
            self._count("names", count)
        return self._without_boilerplate(text), dropped

    def _masked(self, search: KindSearch, text: str) -> tuple[str, int]:
        """Return a text without what a pattern finds, and how much that was."""
        kind, count = search.kind, 0

        def mask(match: re.Match[str]) -> str:
            nonlocal count
            value, start = match[kind.group], match.start(kind.group)
            if kind.check and not kind.check(value, text[max(0, start - _BEFORE) : start]):
                return match[0]
            count += 1
            left = text[max(0, start - _CONTEXT) : start]
            right = text[match.end(kind.group) : match.end(kind.group) + _CONTEXT]
            self._sample(search.action_name, f"{left}{kind.mask}{right}")
            return match[0].replace(value, kind.mask, 1)

        masked = search.pattern.sub(mask, text)
        self._count(search.action_name, count)
        return masked, count

    def _without_boilerplate(self, text: str) -> str:
        if self._spec.boilerplate == "remove":
            text, count = _ORIGIN_LINE.subn("", text)
            self._count("boilerplate", count)
        if self._spec.references == "remove":
            found = _REFERENCES.search(text, int(len(text) * _LAST_PART))
            if found:
                self._count("references", 1)
                text = text[: found.start()].rstrip() + "\n"
        return text

    def _count(self, kind: str, count: int) -> None:
        if count:
            self.counts[kind] += count

    def _sample(self, kind: str, place: str) -> None:
        """Keep the places with the smallest hashes: they do not depend on the tasks."""
        masked = _masked_context(place)
        order = int.from_bytes(hashlib.blake2b(masked.encode(), digest_size=8).digest())
        largest_first = self._samples.setdefault(kind, [])
        if (-order, masked) not in largest_first:
            heapq.heappush(largest_first, (-order, masked))
            if len(largest_first) > _SAMPLES:
                heapq.heappop(largest_first)


def _masked_context(place: str) -> str:
    """Return the surroundings of a masked place with every kind masked: they may hold more."""
    for kind in KINDS.values():
        for pattern in kind.patterns:
            place = pattern.sub(kind.mask, place)
    return place


def merge_samples(tasks: list[dict[str, list[str]]]) -> dict[str, list[str]]:
    """Return some of the samples of all tasks."""
    kinds = sorted({kind for task in tasks for kind in task})
    return {
        kind: sorted({text for task in tasks for text in task.get(kind, [])}, key=_order)[:_SAMPLES]
        for kind in kinds
    }


def _order(masked: str) -> int:
    return int.from_bytes(hashlib.blake2b(masked.encode(), digest_size=8).digest())
