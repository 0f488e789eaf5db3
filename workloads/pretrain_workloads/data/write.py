"""`write`: one task writes the documents of its shard that stay."""

from contextlib import closing
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_workloads.data.files import PipelineFiles, documents, quarantine
from pretrain_workloads.data.listing import output_folder
from pretrain_workloads.data.match import read_array
from pretrain_workloads.data.shards import DOCUMENT, ShardWriter, row_groups


def write(run: PipelineRun, rank: int) -> ExitReport:
    """Write the final shard and the quarantine of task `rank`, unless that is done."""
    folder, work = output_folder(run), PipelineFiles(run.tasks)
    if folder.exists(work.written(rank)):
        kept = int(folder.read_json(work.written(rank))["rows"])
        return ExitReport(exit_class=ExitClass.COMPLETE, counts={"kept": kept})
    decisions = read_array(folder, work.decisions(rank))
    start = 0
    with folder.publish(documents(rank)) as publication:
        with closing(ShardWriter(publication.local, DOCUMENT)) as shard:
            for group in row_groups(folder, work.shard(rank)):
                rows = decisions[start : start + group.num_rows]
                shard.add_table(_kept(group, rows))
                start += group.num_rows
    assert publication.file is not None
    files = [publication.file]
    if bad := folder.read_bytes(work.quarantine(rank)):
        files.append(folder.write_bytes(quarantine(rank), bad))
    done = {"rows": shard.rows, "files": [file.model_dump(by_alias=True) for file in files]}
    folder.write_json(work.written(rank), done)
    return ExitReport(exit_class=ExitClass.COMPLETE, counts={"kept": shard.rows})


def _kept(group: pa.Table, decisions: npt.NDArray[Any]) -> pa.Table:
    keep = decisions["keep"]
    table = group.drop_columns(["hash"]).filter(pa.array(keep))
    columns = {
        "quality": pa.nulls(table.num_rows, pa.float32()),
        "cluster": pa.array(decisions["cluster"][keep]),
        "copies": pa.array(decisions["copies"][keep]),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table.select(DOCUMENT.names)
