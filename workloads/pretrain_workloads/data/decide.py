"""`decide`: which documents stay. The only stage that sees all of them, but never their text."""

import logging
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_workloads.data.dedup.clusters import (
    Clusters,
    cluster,
    exact_representatives,
    thresholds,
)
from pretrain_workloads.data.files import PREPARED_COLUMNS, PipelineFiles
from pretrain_workloads.data.listing import output_folder
from pretrain_workloads.data.match import EDGE, read_array, write_array
from pretrain_workloads.data.shards import read_columns
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder

log = logging.getLogger(__name__)


def decide(run: PipelineRun) -> ExitReport:
    """Decide for all documents, unless that is done.

    Raises:
        UserError: If nothing is left to decide about.
    """
    folder, work = output_folder(run), PipelineFiles(run.tasks)
    if folder.exists(work.decided):
        return _report(folder.read_json(work.decided))
    prepared = [folder.read_json(work.prepared(rank)) for rank in range(run.tasks)]
    check_something_left(prepared)
    shards = [read_columns(folder, work.shard(r), PREPARED_COLUMNS) for r in range(run.tasks)]
    documents = pa.concat_tables(shards)
    found = _clusters(run, documents, _edges(run, folder, work))
    start = 0
    for rank, shard in enumerate(shards):
        rows = found.decisions[start : start + shard.num_rows]
        write_array(folder, work.decisions(rank), rows)
        start += shard.num_rows
    done = {
        "exact": found.exact,
        "near": found.near,
        "kept": int(found.decisions["keep"].sum()),
        "curve": found.curve,
        "examples": found.examples,
    }
    folder.write_json(work.decided, done)
    return _report(done)


def check_something_left(prepared: list[dict[str, Any]]) -> None:
    """Refuse to go on with nothing.

    Raises:
        UserError: If no task has a document left; says what dropped how many.
    """
    if any(task["passed"] for task in prepared):
        return
    bad: Counter[str] = sum((Counter(task["quarantined"]) for task in prepared), Counter())
    rejected: Counter[str] = sum((Counter(task["rejected"]) for task in prepared), Counter())
    read = sum(rejected.values())
    if not read and not bad:
        raise UserError("spec.sources: the files hold no document at all; check their content")
    if not read:
        first = next(task["first_bad"][0] for task in prepared if task["first_bad"])
        raise UserError(
            f"spec.sources: all {bad.total()} records are unreadable "
            f"({_list(bad)}); the first: source {first['source']}, {first['path']}, "
            f"{first['position']}: {first['reason']}"
        )
    raise UserError(
        f"spec.rules: no document is left of {read}: {_list(rejected)}; loosen these rules"
    )


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{name} dropped {count}" for name, count in counts.most_common(6))


def _edges(run: PipelineRun, folder: Folder, work: PipelineFiles) -> Any:
    if run.spec.deduplication.near is None:
        return np.empty(0, EDGE)
    found = [read_array(folder, work.edges(rank)) for rank in range(run.tasks)]
    return np.unique(np.concatenate(found))  # several bands find a pair


def _clusters(run: PipelineRun, documents: pa.Table, edges: Any) -> Clusters:
    size = documents.num_rows
    representatives = np.arange(size)
    if run.spec.deduplication.exact:
        hashes = np.asarray(documents["hash"].to_pylist(), dtype="S16" if not size else "V16")
        representatives = exact_representatives(hashes)
    near = run.spec.deduplication.near
    limits = np.ones(size, np.float32)
    if near is not None:
        limits = thresholds(near, documents["domain"].to_pylist())
    worth = np.zeros(size, np.int64)
    if near is not None and near.keep != "first":  # no scorer yet: the best is the longest
        worth = documents["characters"].to_numpy()
    return cluster(representatives, edges, limits, worth)


def _report(done: dict[str, Any]) -> ExitReport:
    counts = {
        "exactDuplicates": done["exact"],
        "nearDuplicates": done["near"],
        "kept": done["kept"],
    }
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)
