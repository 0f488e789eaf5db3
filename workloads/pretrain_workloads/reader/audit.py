"""`audit`: trace every token that a run has read to its document, and prove the sum."""

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain_api.paths import SCRATCH
from pretrain_api.reports import Audit, AuditedGroup
from pretrain_api.runs import AuditRun
from pretrain_workloads.dataset.files import LEDGER
from pretrain_workloads.failures import UserError
from pretrain_workloads.reader.reads import Counts, count_reads, labels_before
from pretrain_workloads.storage import Folder, local_path, open_artifact
from pretrain_workloads.trainer.blocks.block_files import BlockFiles
from pretrain_workloads.trainer.blocks.block_list import BlockList, read_block_list
from pretrain_workloads.trainer.blocks.read_checksum import sample_checksum, sum_checksums
from pretrain_workloads.trainer.blocks.sampler import Sampler
from pretrain_workloads.trainer.blocks.skipped import SkippedSamples
from pretrain_workloads.trainer.checkpoint import store

_GROUPS: tuple[Literal["source", "language", "domain", "part"], ...] = (
    "source",
    "language",
    "domain",
    "part",
)
_MOST_GROUPS = 50
"""Groups of a kind that are listed, those with most tokens first."""


def audit(run: AuditRun) -> Audit:
    """Return which documents the weights of the newest checkpoint have read.

    Raises:
        UserError: If the run has no checkpoint yet, or something may not be read.
        BadData: If the list of blocks or of rollbacks is broken.
    """
    folder, dataset = open_artifact(run.run), open_artifact(run.dataset)
    found = store.find(folder)
    if not found.markers:
        raise UserError(f"{folder.uri}: holds no checkpoint yet; wait for the first one")
    marker = found.markers[0]
    block_list = read_block_list(dataset)
    sequences = [entry.sequences for entry in block_list.blocks]
    skipped = SkippedSamples.of(
        range(one.first_sample, one.first_sample + one.samples) for one in found.rollbacks
    )
    counts = count_reads(sequences, run.seed, marker.samples, skipped)
    uses = _trace(dataset, counts, block_list.seq_length)
    read = uses.filter(pc.greater(uses["read"], 0))
    return Audit(
        step=marker.step,
        samples=marker.samples,
        tokens=marker.samples * block_list.seq_length,
        traced_tokens=int(pc.sum(uses["read"]).as_py() or 0),
        epochs=round(marker.samples / sum(sequences), 3),
        documents=read.group_by(["artifact", "row"]).aggregate([]).num_rows,
        most_uses=_most_uses(read),
        rollbacks=len(found.rollbacks),
        skipped_samples=sum(len(one) for one in skipped.ranges),
        checksum=_compare(run, dataset, block_list, marker, skipped),
        groups=[one for by in _GROUPS for one in _groups(read, by)],
    )


def _trace(dataset: Folder, counts: Counts, length: int) -> pa.Table:
    """Return the ledger's uses in the training stream, with the labels `read` of each."""
    columns = ["artifact", "row", "source", "language", "domain", "part", "tokens", "start"]
    with dataset.open(LEDGER) as stream:
        uses = pq.read_table(stream, columns=columns, filters=[("split", "=", "train")])
    starts = uses["start"].to_numpy()
    ends = starts + uses["tokens"].to_numpy()
    read = labels_before(counts, length, ends) - labels_before(counts, length, starts)
    return uses.append_column("read", pa.array(read))


def _most_uses(read: pa.Table) -> float:
    """Return the largest quotient of labels read of a document and its tokens."""
    if not read.num_rows:
        return 0.0
    by_document = read.group_by(["artifact", "row"]).aggregate([("read", "sum"), ("tokens", "max")])
    quotients = by_document["read_sum"].to_numpy() / by_document["tokens_max"].to_numpy()
    return round(float(quotients.max()), 3)


def _groups(read: pa.Table, by: Any) -> list[AuditedGroup]:
    """Return what was read by the values of a column, those with most tokens first."""
    documents = read.group_by([by, "artifact", "row"]).aggregate([("read", "sum")])
    sums = documents.group_by([by]).aggregate([("read_sum", "sum"), ("read_sum", "count")])
    rows = sums.sort_by([("read_sum_sum", "descending"), (by, "ascending")]).to_pylist()
    return [
        AuditedGroup(
            by=by,
            name=str(row[by] if row[by] is not None else ""),
            documents=row["read_sum_count"],
            tokens=row["read_sum_sum"],
        )
        for row in rows[:_MOST_GROUPS]
    ]


def _compare(
    run: AuditRun,
    dataset: Folder,
    block_list: BlockList,
    marker: store.Marker,
    skipped: SkippedSamples,
) -> Literal["equal", "different", "unknown", "not read"]:
    """Read all samples of the run again, and compare their checksum with the checkpoint's."""
    if not run.reads_blocks:
        return "not read"
    if marker.read_checksum is None:
        return "unknown"
    files = BlockFiles(dataset, block_list, local_path(SCRATCH) / "blocks")
    sampler = Sampler([entry.sequences for entry in block_list.blocks], run.seed)
    total = 0
    for number in range(marker.samples):
        place = sampler.sequence(skipped.data_sample(number))
        ids = files.open(block_list.blocks[place.block]).sequence(place.index)
        total = sum_checksums([total, sample_checksum(number, np.asarray(ids))])
    return "equal" if f"{total:016x}" == marker.read_checksum else "different"
