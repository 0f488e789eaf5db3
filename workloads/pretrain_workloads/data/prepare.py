"""`prepare`: one task reads its pieces, and writes what passes the rules with its signatures."""

import logging
from collections import Counter
from contextlib import closing
from itertools import batched
from typing import Any

import numpy as np
import xxhash
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from pydantic_core import to_json

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_workloads.data.executor import Documents, run_steps
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.data.listing import output_folder, read_inputs
from pretrain_workloads.data.rules.apply import ApplyRules, Rejects
from pretrain_workloads.data.shards import PREPARED, ShardWriter
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.data.sources.reader import Quarantine, ReadPieces
from pretrain_workloads.data.text.languages import DetectLanguage
from pretrain_workloads.data.text.normalisation import Normalise
from pretrain_workloads.storage import Folder, open_uri
from pretrain_workloads.storage.globs import source_folder

log = logging.getLogger(__name__)

_BATCH = 512
"""Documents that are signed at once."""


class CountRead(PipelineStep):  # type: ignore[misc]
    """Counts documents, characters and bytes by language, before any rule."""

    name = "count"
    type = "stats"

    def __init__(self, read: dict[str, Counter[str]]) -> None:
        super().__init__()
        self._read = read

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield all documents, with their size in bytes."""
        for document in data:
            size = len(document.text.encode())
            document.metadata["bytes"] = size
            counts = self._read.setdefault(document.metadata["language"], Counter())
            counts["documents"] += 1
            counts["characters"] += len(document.text)
            counts["bytes"] += size
            yield document


class SignAndWrite(PipelineStep):  # type: ignore[misc]
    """Writes documents to a shard, and gathers their MinHash signatures."""

    name = "shard"
    type = "writer"

    def __init__(self, shard: ShardWriter, sign: bool) -> None:
        super().__init__()
        self._shard, self._sign = shard, sign
        self._signatures: list[Any] = []

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield all documents, written."""
        for batch in batched(data, _BATCH):
            if self._sign:
                from pretrain_workloads.data.dedup.minhash import signatures

                self._signatures.append(signatures([document.text for document in batch]))
            for document in batch:
                self._shard.add(_row(document))
                yield document

    def signatures(self) -> Any:
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
    """Run task `rank` of the stage, unless it is done already.

    Raises:
        BadData: If a file is damaged.
        UserError: If a file has changed, or lacks the text column.
    """
    folder, work = output_folder(run), PipelineFiles(run.tasks)
    if folder.exists(work.prepared(rank)):
        log.info("task %s was done already", rank)
        return _report(folder.read_json(work.prepared(rank)))
    pieces = read_inputs(folder, work, rank)
    quarantine, rejects = Quarantine(), Rejects()
    read: dict[str, Counter[str]] = {}
    sign = run.spec.deduplication.near is not None
    with folder.publish(work.shard(rank)) as publication:
        with closing(ShardWriter(publication.local, PREPARED)) as shard:
            writer = SignAndWrite(shard, sign)
            steps = [
                ReadPieces(run.spec.sources, _folders(run, pieces), pieces, quarantine),
                Normalise(),
                DetectLanguage(),
                CountRead(read),
                ApplyRules(run.spec.rules, rejects),
                writer,
            ]
            run_steps(steps, rank, run.tasks)
    if sign:
        _publish_array(folder, work.signatures(rank), writer.signatures())
    _publish_quarantine(folder, work.quarantine(rank), quarantine)
    done = {
        "read": {language: dict(counts) for language, counts in sorted(read.items())},
        "passed": shard.rows,
        "rejected": dict(sorted(rejects.counts.items())),
        "samples": rejects.samples,
        "quarantined": dict(sorted(Counter(_kind(r) for r in quarantine.records).items())),
        "first_bad": quarantine.records[:1],
    }
    folder.write_json(work.prepared(rank), done)
    return _report(done)


def _folders(run: PipelineRun, pieces: list[Piece]) -> dict[int, Folder]:
    """Return the folders of the sources that a task reads: others need not even be open."""
    folders = {}
    for index in sorted({piece.source for piece in pieces}):
        source = run.spec.sources[index]
        reference = source.credentials_secret_ref
        folders[index] = open_uri(source_folder(source.uri), reference.name if reference else None)
    return folders


def _kind(record: dict[str, Any]) -> str:
    return str(record["reason"]).partition(":")[0]


def _publish_array(folder: Folder, path: str, values: Any) -> None:
    with folder.publish(path) as publication, publication.local.open("wb") as stream:
        np.save(stream, values)


def _publish_quarantine(folder: Folder, path: str, quarantine: Quarantine) -> None:
    with folder.publish(path) as publication, publication.local.open("wb") as stream:
        for record in quarantine.records:
            stream.write(to_json(record) + b"\n")


def _report(done: dict[str, Any]) -> ExitReport:
    counts = {
        "read": sum(language["documents"] for language in done["read"].values()),
        "bytes": sum(language["bytes"] for language in done["read"].values()),
        "passed": done["passed"],
        "rejected": sum(done["rejected"].values()),
        "quarantined": sum(done["quarantined"].values()),
    }
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)
