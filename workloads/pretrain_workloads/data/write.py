"""`write`: each task writes the documents of its prepared shard that stay."""

from contextlib import closing

import pyarrow as pa

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_workloads.data.files import PipelineFiles, documents, quarantine
from pretrain_workloads.data.shards import DOCUMENT, ShardWriter, row_groups
from pretrain_workloads.storage import Folder, open_output
from pretrain_workloads.storage.arrays import AnyArray, read_array


def write(run: PipelineRun, rank: int) -> ExitReport:
    """Write the final shard and the quarantine of task `rank`, unless that is done."""
    folder, names = open_output(run), PipelineFiles(run.tasks)
    if folder.exists(names.written(rank)):
        kept = int(folder.read_json(names.written(rank))["rows"])
        return ExitReport(exit_class=ExitClass.COMPLETE, counts={"kept": kept})
    shard, kept = _write_documents(folder, names, rank)
    files = [shard]
    if unreadable := folder.read_bytes(names.quarantine(rank)):
        files.append(folder.write_bytes(quarantine(rank), unreadable))
    done = {"rows": kept, "files": [file.model_dump(by_alias=True) for file in files]}
    folder.write_json(names.written(rank), done)
    return ExitReport(exit_class=ExitClass.COMPLETE, counts={"kept": kept})


def _write_documents(folder: Folder, names: PipelineFiles, rank: int) -> tuple[ArtifactFile, int]:
    """Write the final shard; return the file and its number of documents."""
    decisions = read_array(folder, names.decisions(rank))
    start = 0
    with folder.publish(documents(rank)) as publication:
        with closing(ShardWriter(publication.local, DOCUMENT)) as shard:
            for group in row_groups(folder, names.shard(rank)):
                shard.add_table(_kept(group, decisions[start : start + group.num_rows]))
                start += group.num_rows
    assert publication.file is not None
    return publication.file, shard.rows


def _kept(group: pa.Table, decisions: AnyArray) -> pa.Table:
    """Return the documents of a row group that stay, with their clusters."""
    keep = decisions["keep"]
    table = group.filter(pa.array(keep))
    columns = {
        "cluster": pa.array(decisions["cluster"][keep]),
        "copies": pa.array(decisions["copies"][keep]),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table.select(DOCUMENT.names)
