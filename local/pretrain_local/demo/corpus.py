"""Writes the demo's corpus: `<language>/<source>-<number>.jsonl.gz`, once for each machine."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pretrain_local.demo.text_sources import SOURCES, TextSource

SHARD_BYTES = 4_000_000
"""Text of a shard before compression. A gzip file cannot be split, so a task reads whole shards."""

VERSION = "1"
"""To be changed with the text that this module writes."""


@dataclass(frozen=True)
class SourceSummary:
    """The size of what was written from one source."""

    source: str
    language: str
    documents: int
    bytes: int


def build(
    out: Path, cache: Path, report: Callable[[SourceSummary], None] = lambda _: None
) -> list[SourceSummary]:
    """Write every source below `out`, unless `out` is complete already; return the summaries.

    `cache` keeps the downloads; `report` gets each summary when its source is written.
    """
    record = out / "corpus.json"
    if record.exists() and (stored := json.loads(record.read_text()))["version"] == VERSION:
        return [SourceSummary(**row) for row in stored["sources"]]
    cache.mkdir(parents=True, exist_ok=True)
    summaries = []
    for source in SOURCES:
        summaries.append(_write(source, out, cache))
        report(summaries[-1])
    rows = [vars(row) for row in summaries]
    record.write_text(json.dumps({"version": VERSION, "sources": rows}, indent=2))
    return summaries


def _write(source: TextSource, out: Path, cache: Path) -> SourceSummary:
    folder = out / source.language
    folder.mkdir(parents=True, exist_ok=True)
    documents = size = 0
    shard: list[str] = []
    shard_bytes = number = 0
    for key, text in source.read(cache):
        line = {"id": f"{source.name}/{key}", "text": text.strip()}
        shard.append(json.dumps(line, ensure_ascii=False))
        documents += 1
        size += len(text.encode("utf-8", "replace"))
        shard_bytes += len(shard[-1].encode("utf-8", "replace"))
        if shard_bytes >= SHARD_BYTES:
            _write_shard(folder / f"{source.name}-{number:03d}.jsonl.gz", shard)
            shard, shard_bytes, number = [], 0, number + 1
        if size >= source.limit_bytes:
            break
    if shard:
        _write_shard(folder / f"{source.name}-{number:03d}.jsonl.gz", shard)
    return SourceSummary(source.name, source.language, documents, size)


def _write_shard(path: Path, lines: list[str]) -> None:
    data = "\n".join(lines).encode("utf-8", "replace") + b"\n"
    path.write_bytes(gzip.compress(data, compresslevel=6, mtime=0))
