"""`decide`: decide which documents stay. One task sees all documents, without their text."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_api.v1alpha1.pipeline.deduplication import Deduplication
from pretrain_workloads.data.dedup.clusters import (
    Clusters,
    cluster,
    exact_representatives,
    thresholds,
)
from pretrain_workloads.data.dedup.edges import EDGE, Edges
from pretrain_workloads.data.files import PREPARED_COLUMNS, PipelineFiles
from pretrain_workloads.data.shards import read_columns
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, open_output
from pretrain_workloads.storage.arrays import read_array, write_array


def decide(run: PipelineRun) -> ExitReport:
    """Write the decisions about all documents, unless that is done.

    Raises:
        UserError: If no document passed the rules.
    """
    folder, names = open_output(run), PipelineFiles(run.tasks)
    if folder.exists(names.decided):
        return _report(folder.read_json(names.decided))
    check_documents_remain([folder.read_json(names.prepared(rank)) for rank in range(run.tasks)])
    shards = [read_columns(folder, names.shard(r), PREPARED_COLUMNS) for r in range(run.tasks)]
    edges = _read_edges(run, folder, names)
    clusters = _cluster(run.spec.deduplication, pa.concat_tables(shards), edges)
    start = 0
    for rank, shard in enumerate(shards):
        decisions = clusters.decisions[start : start + shard.num_rows]
        write_array(folder, names.decisions(rank), decisions)
        start += shard.num_rows
    done = {
        "exact": clusters.exact,
        "near": clusters.near,
        "kept": int(clusters.decisions["keep"].sum()),
        "curve": clusters.curve,
        "examples": clusters.examples,
    }
    folder.write_json(names.decided, done)
    return _report(done)


def check_documents_remain(prepared: list[dict[str, Any]]) -> None:
    """Refuse to continue without documents.

    Raises:
        UserError: If no document passed the rules; says what dropped how many.
    """
    if any(task["passed"] for task in prepared):
        return
    unreadable: Counter[str] = sum((Counter(task["quarantined"]) for task in prepared), Counter())
    rejected: Counter[str] = sum((Counter(task["rejected"]) for task in prepared), Counter())
    read = rejected.total()
    if not read and not unreadable:
        raise UserError("spec.sources: the files hold no document at all; check their content")
    if not read:
        first = next(task["first_bad"][0] for task in prepared if task["first_bad"])
        raise UserError(
            f"spec.sources: all {unreadable.total()} records are unreadable "
            f"({_most_common(unreadable)}); the first: source {first['source']}, {first['path']}, "
            f"{first['position']}: {first['reason']}"
        )
    raise UserError(
        f"spec.rules: no document is left of {read}: {_most_common(rejected)}; loosen these rules"
    )


def _most_common(counts: Counter[str]) -> str:
    return ", ".join(f"{name} dropped {count}" for name, count in counts.most_common(6))


def _read_edges(run: PipelineRun, folder: Folder, names: PipelineFiles) -> Edges:
    if run.spec.deduplication.near is None:
        return np.empty(0, EDGE)
    edges = [read_array(folder, names.edges(rank)) for rank in range(run.tasks)]
    return np.unique(np.concatenate(edges))  # a pair may share several bands


def _cluster(spec: Deduplication, documents: pa.Table, edges: Edges) -> Clusters:
    size = documents.num_rows
    representatives = np.arange(size)
    if spec.exact:
        hashes = np.asarray(documents["hash"].to_pylist(), dtype="S16" if not size else "V16")
        representatives = exact_representatives(hashes)
    limits = np.ones(size, np.float32)
    scores = np.zeros(size, np.int64)
    if spec.near is not None:
        limits = thresholds(spec.near, documents["domain"].to_pylist())
        if spec.near.keep != "first":  # nothing scores quality yet: the longest is the best
            scores = documents["characters"].to_numpy()
    return cluster(representatives, edges, limits, scores)


def _report(done: dict[str, Any]) -> ExitReport:
    counts = {
        "exactDuplicates": done["exact"],
        "nearDuplicates": done["near"],
        "kept": done["kept"],
    }
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)
