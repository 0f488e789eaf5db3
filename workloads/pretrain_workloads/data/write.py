"""`write`: each task writes the documents of its prepared shard that stay, and lists the others."""

from contextlib import ExitStack, closing
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_workloads.data.files import PipelineFiles, documents, dropped, quarantine
from pretrain_workloads.data.quality_floors import QUALITY_KEY
from pretrain_workloads.data.shards import (
    DOCUMENT,
    DROPPED,
    ShardWriter,
    read_columns,
    row_groups,
)
from pretrain_workloads.storage import Folder, open_output
from pretrain_workloads.storage.arrays import AnyArray, read_array


def write(run: PipelineRun, rank: int) -> ExitReport:
    """Write the final shard, the dropped documents and the quarantine, unless that is done."""
    folder, names = open_output(run), PipelineFiles(run.tasks)
    if not folder.exists(names.written(rank)):
        folder.write_json(names.written(rank), _write(folder, names, run.tasks, rank))
    kept = int(folder.read_json(names.written(rank))["rows"])
    return ExitReport(exit_class=ExitClass.COMPLETE, counts={"kept": kept})


def _write(folder: Folder, names: PipelineFiles, tasks: int, rank: int) -> dict[str, Any]:
    """Write the files of a task; return their entries and the number of kept documents."""
    decisions = read_array(folder, names.decisions(rank))
    origins = _origins(folder, names, tasks, np.unique(decisions["kept"][~decisions["keep"]]))
    start = 0
    with ExitStack() as stack:
        publications = [stack.enter_context(folder.publish(p(rank))) for p in (documents, dropped)]
        with (
            closing(ShardWriter(publications[0].local, DOCUMENT)) as shard,
            closing(ShardWriter(publications[1].local, DROPPED)) as losses,
        ):
            for group in row_groups(folder, names.dropped(rank)):
                losses.add_table(group)
            for group in row_groups(folder, names.shard(rank)):
                part = decisions[start : start + group.num_rows]
                start += group.num_rows
                shard.add_table(_kept(group, part))
                losses.add_table(_dropped(group, part, origins))
    files = [publication.file for publication in publications if publication.file is not None]
    if unreadable := folder.read_bytes(names.quarantine(rank)):
        files.append(folder.write_bytes(quarantine(rank), unreadable))
    entries = [ArtifactFile.model_dump(file, by_alias=True) for file in files]
    return {"rows": shard.rows, "files": entries}


def _kept(group: pa.Table, decisions: AnyArray) -> pa.Table:
    """Return the documents of a row group that stay, with their clusters."""
    keep = decisions["keep"]
    table = group if keep.all() else group.filter(pa.array(keep))
    columns = {
        "cluster": pa.array(decisions["cluster"][keep]),
        "copies": pa.array(decisions["copies"][keep]),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table.select(DOCUMENT.names)


def _dropped(group: pa.Table, decisions: AnyArray, origins: dict[int, str]) -> pa.Table:
    """Return the documents of a row group that `decide` drops, as rows of `shards.DROPPED`."""
    lost = np.flatnonzero(~decisions["keep"])
    table = group.select([name for name in DROPPED.names if name in group.column_names]).take(lost)
    part = decisions[lost]
    below, exact = pa.array(part["below"]), pa.array(part["exact"])
    kept = pa.array([origins[number] for number in part["kept"].tolist()], pa.string())
    columns = {
        "rule": pc.if_else(below, QUALITY_KEY, pc.if_else(exact, "exact", "near")),
        "reason": pc.if_else(
            below,
            "not in the share of best documents that stays",
            pc.if_else(exact, "the same text", "similar text"),
        ),
        "kept": pc.if_else(below, pa.scalar(None, pa.string()), kept),
        "similarity": pc.if_else(
            below, pa.scalar(None, pa.float32()), pa.array(part["similarity"])
        ),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table.select(DROPPED.names)


def _origins(folder: Folder, names: PipelineFiles, tasks: int, numbers: AnyArray) -> dict[int, str]:
    """Return the origins of documents of any shard, by their numbers over all shards."""
    origins: dict[int, str] = {}
    if not len(numbers):
        return origins
    counts = [int(folder.read_json(names.prepared(task))["passed"]) for task in range(tasks)]
    starts = np.concatenate(([0], np.cumsum(counts)))
    bounds = np.searchsorted(numbers, starts)
    for task in range(tasks):
        here = numbers[bounds[task] : bounds[task + 1]]
        if len(here):
            column = read_columns(folder, names.shard(task), ("origin",))["origin"]
            found = column.take(pa.array(here - starts[task])).to_pylist()
            origins |= dict(zip(here.tolist(), found, strict=True))
    return origins
