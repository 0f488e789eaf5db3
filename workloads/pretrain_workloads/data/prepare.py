"""`prepare`: each task reads its pieces, and writes the documents that pass the rules.

The stage is a chain of datatrove steps. Documents get a MinHash signature if the spec drops
near-duplicates.
"""

import logging
from collections import Counter
from contextlib import closing
from itertools import batched
from typing import Any

import numpy as np
import xxhash
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_workloads.data.executor import Documents, run_steps
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.data.rules.apply import ApplyRules
from pretrain_workloads.data.rules.rejects import Rejects
from pretrain_workloads.data.shards import PREPARED, ShardWriter
from pretrain_workloads.data.sources.pieces import Piece, read_share
from pretrain_workloads.data.sources.quarantine import Quarantine
from pretrain_workloads.data.sources.reader import ReadPieces
from pretrain_workloads.data.text.languages import DetectLanguage
from pretrain_workloads.data.text.normalisation import Normalise
from pretrain_workloads.storage import Folder, open_output, open_source
from pretrain_workloads.storage.arrays import AnyArray, write_array

log = logging.getLogger(__name__)

_BATCH = 512
"""Documents that are signed at once."""


class CountDocuments(PipelineStep):  # type: ignore[misc]
    """Counts documents, characters and bytes by language, before any rule."""

    name = "count"
    type = "stats"

    def __init__(self, counts: dict[str, Counter[str]]) -> None:
        super().__init__()
        self._counts = counts

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield all documents, with their size in bytes."""
        for document in data:
            size = len(document.text.encode())
            document.metadata["bytes"] = size
            counts = self._counts.setdefault(document.metadata["language"], Counter())
            counts["documents"] += 1
            counts["characters"] += len(document.text)
            counts["bytes"] += size
            yield document


class SignAndWrite(PipelineStep):  # type: ignore[misc]
    """Writes documents to a shard, and collects their MinHash signatures."""

    name = "shard"
    type = "writer"

    def __init__(self, shard: ShardWriter, sign: bool) -> None:
        super().__init__()
        self._shard, self._sign = shard, sign
        self._signatures: list[AnyArray] = []

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield all documents, after writing them."""
        for batch in batched(data, _BATCH):
            if self._sign:
                from pretrain_workloads.data.dedup.minhash import signatures  # numba loads slowly

                self._signatures.append(signatures([document.text for document in batch]))
            for document in batch:
                self._shard.add(_row(document))
                yield document

    def signatures(self) -> AnyArray:
        """Return the signatures of the documents, in order."""
        from pretrain_workloads.data.dedup.minhash import PERMUTATIONS

        return np.concatenate([np.empty((0, PERMUTATIONS), np.uint32), *self._signatures])


def _row(document: Document) -> dict[str, Any]:
    text, metadata = document.text, document.metadata
    return {
        "id": document.id,
        "text": text,
        "language": metadata["language"],
        "domain": metadata["domain"],
        "source": metadata["source"],
        "bytes": metadata["bytes"],
        "characters": len(text),
        "hash": xxhash.xxh3_128_digest(text.encode()),
    }


def prepare(run: PipelineRun, rank: int) -> ExitReport:
    """Run task `rank` of the stage, unless it is done.

    Raises:
        BadData: If a file is damaged.
        UserError: If a file has changed, or lacks the text column.
    """
    folder, names = open_output(run), PipelineFiles(run.tasks)
    if folder.exists(names.prepared(rank)):
        log.info("task %s is already done", rank)
        return _report(folder.read_json(names.prepared(rank)))
    pieces = read_share(folder, names.inputs, rank)
    quarantine, rejects = Quarantine(), Rejects()
    read: dict[str, Counter[str]] = {}
    sign = run.spec.deduplication.near is not None
    with folder.publish(names.shard(rank)) as publication:
        with closing(ShardWriter(publication.local, PREPARED)) as shard:
            writer = SignAndWrite(shard, sign)
            steps = [
                ReadPieces(run.spec.sources, _folders(run, pieces), pieces, quarantine),
                Normalise(),
                DetectLanguage(),
                CountDocuments(read),
                ApplyRules(run.spec.rules, rejects),
                writer,
            ]
            run_steps(steps, rank, run.tasks)
    if sign:
        write_array(folder, names.signatures(rank), writer.signatures())
    quarantine.publish(folder, names.quarantine(rank))
    done = {
        "read": {language: dict(counts) for language, counts in sorted(read.items())},
        "passed": shard.rows,
        "rejected": dict(sorted(rejects.counts.items())),
        "samples": rejects.samples,
        "quarantined": quarantine.counts(),
        "first_bad": quarantine.records[:1],
    }
    folder.write_json(names.prepared(rank), done)
    return _report(done)


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
