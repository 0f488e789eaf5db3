"""`prepare`: each task reads its pieces, and writes the documents that pass the rules.

    read ─► normalise ─► language ─► rules ─► models ─► decontaminate ─► scrub ─► sign ─► shard

Batches of documents pass through these steps, one after the other.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_workloads.data.batch import Batch, Rows
from pretrain_workloads.data.decontamination.benchmarks import CONTAMINATION_KEY, BenchmarkIndex
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.data.models.scoring import QUALITY, TextScorer
from pretrain_workloads.data.quality_floors import QUALITY_KEY
from pretrain_workloads.data.rules.apply import apply_rules
from pretrain_workloads.data.rules.registry import SCRUB_KEY
from pretrain_workloads.data.rules.rejects import Rejects
from pretrain_workloads.data.scrub.scrubber import Scrubber
from pretrain_workloads.data.shards import DROPPED, PREPARED, ShardWriter, hash_column, text_column
from pretrain_workloads.data.sources.pieces import Piece, read_share
from pretrain_workloads.data.sources.quarantine import Quarantine
from pretrain_workloads.data.sources.reader import SourceReader
from pretrain_workloads.data.text.languages import detect_all
from pretrain_workloads.data.text.normalisation import normalise_all
from pretrain_workloads.storage import Folder, open_output, open_source

log = logging.getLogger(__name__)

type Digests = npt.NDArray[np.uint8]
"""The 16 bytes of XXH3-128 of each text, one after the other."""


def prepare(run: PipelineRun, rank: int) -> ExitReport:
    """Run task `rank` of the stage, unless it is done.

    Raises:
        BadData: If too many records are unreadable, or a benchmark's file is damaged.
        UserError: If a file has changed, lacks the text column, or a rule cannot be applied.
    """
    folder, names = open_output(run), PipelineFiles(run.tasks)
    if not folder.exists(names.prepared(rank)):
        folder.write_json(names.prepared(rank), _prepare(run, folder, names, rank))
    return _report(folder.read_json(names.prepared(rank)))


def _prepare(run: PipelineRun, folder: Folder, names: PipelineFiles, rank: int) -> dict[str, Any]:
    """Write the files of task `rank`; return its counts and samples."""
    pieces = read_share(folder, names.inputs, rank)
    read: dict[str, Counter[str]] = {}
    with ExitStack() as stack:
        shard, dropped = (
            stack.enter_context(
                closing(ShardWriter(stack.enter_context(folder.publish(path)).local, schema))
            )
            for path, schema in ((names.shard(rank), PREPARED), (names.dropped(rank), DROPPED))
        )
        signer = stack.enter_context(_signer(run, folder, names, rank))
        rejects = Rejects(dropped.add)
        bad = stack.enter_context(folder.publish(names.quarantine(rank))).local
        stream = stack.enter_context(bad.open("wb"))
        quarantine = Quarantine(stream, run.spec.max_bad_fraction)
        scrubber = Scrubber(run.spec.scrub)
        benchmarks = _benchmarks(run)
        scorer = TextScorer(run.spec.models, folder)
        reader = SourceReader(run.spec, _folders(run, pieces), quarantine)
        for batch in reader.read_batches(pieces):
            batch = _labelled(batch.with_texts(normalise_all(batch.texts)))
            _count(batch, read)
            batch = apply_rules(run.spec.rules, batch, rejects)
            batch = _scored(batch, scorer, rejects)
            batch = _decontaminated(batch, benchmarks, rejects)
            batch = _scrubbed(batch, scrubber, rejects)
            hashes = _hashes(batch)
            signer(batch, hashes)
            shard.add(_columns(batch, hashes))
    return {
        "read": {language: dict(counts) for language, counts in sorted(read.items())},
        "passed": shard.rows,
        "rejected": dict(sorted(rejects.counts.items())),
        "rejectedByLanguage": rejects.by_language,
        "ruleSeconds": rejects.seconds,
        "samples": rejects.samples,
        "scrubbed": dict(sorted(scrubber.counts.items())),
        "scrubSamples": scrubber.samples,
        "quarantined": quarantine.counts(),
        "first_bad": quarantine.first,
        "damaged": quarantine.damaged,
    }


def _labelled(batch: Batch) -> Batch:
    """Return `batch` with the language of every document."""
    unknown = np.flatnonzero([not language for language in batch.languages])
    if not len(unknown):
        return batch
    part = batch.select(unknown)
    found, found_scores = detect_all(part.texts, part.points, part.offsets)
    if len(unknown) == len(batch):
        return batch.with_languages(found, found_scores)
    languages, scores = list(batch.languages), batch.scores.copy()
    scores[unknown] = found_scores
    for row, language in zip(unknown.tolist(), found, strict=True):
        languages[row] = language
    return batch.with_languages(languages, scores)


def _scored(batch: Batch, scorer: TextScorer, rejects: Rejects) -> Batch:
    """Return the documents with domain and quality, without those below the least score."""
    batch = scorer.score(batch)
    return _without(batch, QUALITY_KEY, *scorer.below_minimum(batch), rejects)


def _without(batch: Batch, key: str, rows: Rows, reasons: list[str], rejects: Rejects) -> Batch:
    """Return `batch` without `rows`, which are recorded as dropped by the step `key`."""
    if not len(rows):
        return batch
    rejects.add(key, batch.select(rows), reasons)
    return batch.select(np.delete(np.arange(len(batch)), rows))


def _benchmarks(run: PipelineRun) -> BenchmarkIndex | None:
    if run.spec.decontaminate is None:
        return None
    return BenchmarkIndex(run.spec)


def _decontaminated(batch: Batch, benchmarks: BenchmarkIndex | None, rejects: Rejects) -> Batch:
    """Return the documents that hold no text of a benchmark; before masks could hide it."""
    if benchmarks is None:
        return batch
    return _without(batch, CONTAMINATION_KEY, *benchmarks.contaminated(batch), rejects)


def _scrubbed(batch: Batch, scrubber: Scrubber, rejects: Rejects) -> Batch:
    """Return the documents without personal data, and without those that are dropped for it."""
    if scrubber.is_idle:
        return batch
    batch, rows, reasons = scrubber.scrub(batch)
    return _without(batch, SCRUB_KEY, rows, reasons, rejects)


def _count(batch: Batch, read: dict[str, Counter[str]]) -> None:
    """Count documents, characters and bytes by language, before any rule."""
    languages = np.asarray(batch.languages)
    for language in set(batch.languages):
        rows = languages == language
        counts = read.setdefault(language, Counter())
        counts["documents"] += int(rows.sum())
        counts["characters"] += int(batch.characters[rows].sum())
        counts["bytes"] += int(batch.sizes[rows].sum())


@contextmanager
def _signer(
    run: PipelineRun, folder: Folder, names: PipelineFiles, rank: int
) -> Iterator[Callable[[Batch, Digests], None]]:
    """Provide a function that signs a batch, if near-duplicates are to be found."""
    near = run.spec.deduplication.near
    if near is None:
        yield lambda batch, hashes: None
        return
    from pretrain_workloads.data.dedup.bands import banding  # numba loads slowly
    from pretrain_workloads.data.dedup.minhash import signatures
    from pretrain_workloads.data.dedup.signature_files import signature_writer
    from pretrain_workloads.data.dedup.table import scores_of

    with signature_writer(folder, names, rank, banding(run.spec.deduplication)) as writer:

        def sign(batch: Batch, hashes: Digests) -> None:
            quality = batch.features.get(QUALITY, np.full(len(batch), np.nan, np.float32))
            scores = scores_of(near.keep, batch.characters.astype(float), quality.astype(float))
            rows = signatures(batch.points, batch.offsets, near.collapse_digits)
            writer.add(rows, hashes.view(np.uint64).reshape(-1, 2)[:, 0], scores)

        yield sign


def _hashes(batch: Batch) -> Digests:
    """Return the 128-bit hash of each text, 16 bytes each."""
    utf8, offsets = batch.utf8
    content = memoryview(utf8)
    digests = (xxhash.xxh3_128_digest(content[a:b]) for a, b in pairwise(offsets.tolist()))
    return np.frombuffer(b"".join(digests), np.uint8)


def _columns(batch: Batch, hashes: Digests) -> dict[str, Any]:
    """Return the columns of `shards.PREPARED`."""
    return {
        "id": batch.ids,
        "origin": batch.origins,
        "text": text_column(*batch.utf8),
        "language": batch.languages,
        "domain": batch.domains,
        "source": batch.sources,
        "quality": _nullable(batch.features.get(QUALITY), len(batch)),
        "bytes": batch.sizes,
        "characters": batch.characters,
        "prompt": batch.prompts,
        "hash": hash_column(hashes),
    }


def _nullable(values: npt.NDArray[np.float32] | None, count: int) -> pa.Array:
    """Return a column that is empty where there is no value."""
    if values is None:
        return pa.nulls(count, pa.float32())
    return pa.array(values, pa.float32(), from_pandas=True)


def _folders(run: PipelineRun, pieces: list[Piece]) -> dict[int, Folder]:
    """Return the folders of the sources that a task reads; it opens no others."""
    indices = sorted({piece.source for piece in pieces})
    return {index: open_source(run.spec.sources[index]) for index in indices}


def _report(done: dict[str, Any]) -> ExitReport:
    counts = {
        "read": sum(language["documents"] for language in done["read"].values()),
        "bytes": sum(language["bytes"] for language in done["read"].values()),
        "passed": done["passed"],
        "rejected": sum(done["rejected"].values()),
        "quarantined": sum(done["quarantined"].values()),
    }
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)
