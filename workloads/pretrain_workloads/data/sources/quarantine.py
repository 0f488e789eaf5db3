"""Keep the records that cannot be read, with their position and what is wrong, on disk.

A task fails early when more than a share of the records is bad: a wrong field name is then an error
of a minute, not an artifact with one document.
"""

from collections import Counter
from typing import IO, Any

from pydantic_core import to_json

from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.failures import BadData

MAX_RECORD_BYTES = 2000
"""Bytes of a bad record that are kept."""

ALLOWED_RECORDS = 10
"""Bad records that never fail a pipeline, unless they are most of all."""

EMPTY = " is empty"
"""End of the kinds of records that hold no text: they are well-formed, and fail no pipeline."""

_KINDS = 40
"""Kinds of problems that are counted apart."""

_NAMED_FILES = 20
"""Damaged files that are named."""

_ENOUGH_RECORDS = 1000
"""Records after which a share is judged while records are still read."""


class Quarantine:
    """The bad records of one task.

    Args:
        stream: Takes all bad records, as JSON lines.
        max_fraction: Share of the records that may be bad.
    """

    def __init__(self, stream: IO[bytes], max_fraction: float = 1.0) -> None:
        self._stream, self._max_fraction = stream, max_fraction
        self._kinds: Counter[str] = Counter()
        self._good = 0
        self.first: list[dict[str, Any]] = []
        """The first bad record, if there is one."""
        self.damaged: list[str] = []
        """Damaged files, some of them."""

    def add(self, source: Source, path: str, position: str, reason: str, record: bytes) -> None:
        """Keep a bad record.

        Args:
            source: Source of the record.
            path: File of the record, relative to the folder of the source.
            position: Position in the file.
            reason: What is wrong; the text before the first colon or semicolon is its kind.
            record: Content of the record.
        """
        bad = {
            "source": source.name,
            "path": path,
            "position": position,
            "reason": reason,
            "record": record[:MAX_RECORD_BYTES].decode("utf-8", "replace"),
        }
        self._stream.write(to_json(bad) + b"\n")
        self.first = self.first or [bad]
        kind = reason.partition(":")[0].partition(";")[0]
        if kind not in self._kinds and len(self._kinds) >= _KINDS:
            kind = "other"
        self._kinds[kind] += 1
        if self._kinds.total() % _ENOUGH_RECORDS == 0:
            self.check(self._good)

    def add_damage(self, source: Source, path: str, uri: str, reason: str) -> None:
        """Count a damaged file as one bad record, and name it."""
        self.add(source, path, "the rest", f"file is damaged: {reason}", b"")
        if len(self.damaged) < _NAMED_FILES:
            self.damaged.append(f"{uri}: {reason}")

    def counts(self) -> dict[str, int]:
        """Return the number of bad records for each kind of problem."""
        return dict(sorted(self._kinds.items()))

    def check(self, good: int) -> None:
        """Stop early if too many of the records are bad.

        Args:
            good: Good records so far.

        Raises:
            BadData: If they are; it says what is wrong with the first.
        """
        self._good = good
        if good + self._kinds.total() >= _ENOUGH_RECORDS:
            check_fraction(good, self._kinds, self.first, self._max_fraction)


def check_fraction(
    good: int, kinds: Counter[str], first: list[dict[str, Any]], max_fraction: float
) -> None:
    """Check the share of bad records, empty ones aside.

    Raises:
        BadData: If it is above `max_fraction`, and there are more than a few.
    """
    total = good + kinds.total()
    kinds = Counter({kind: n for kind, n in kinds.items() if not kind.endswith(EMPTY)})
    bad = kinds.total()
    most = bad > total / 2 and max_fraction < 0.5
    if bad <= max_fraction * total or (bad <= ALLOWED_RECORDS and not most):
        return
    common = ", ".join(f"{kind}: {count}" for kind, count in kinds.most_common(3))
    where = "; ".join(
        f"the first: source {r['source']}, {r['path']}, {r['position']}: {r['reason']}"
        for r in first
    )
    raise BadData(
        f"spec.sources: {bad:,} of the first {total:,} records are unreadable ({bad / total:.1%}, "
        f"more than spec.maxBadFraction = {max_fraction:g}): {common}; {where}"
    )
