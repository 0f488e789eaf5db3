"""`decide`: decide which documents stay. One task sees all documents, without their text."""

from collections import Counter
from typing import Any

import numpy as np

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.data.rules.registry import step_title
from pretrain_workloads.data.sources.quarantine import check_fraction
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, open_output
from pretrain_workloads.storage.arrays import AnyArray, read_array, write_array


def decide(run: PipelineRun) -> ExitReport:
    """Write the decisions about all documents, unless that is done.

    Raises:
        BadData: If too many records were unreadable.
        UserError: If no document passed the rules.
    """
    folder, names = open_output(run), PipelineFiles(run.tasks)
    if not folder.exists(names.decided):
        prepared = [folder.read_json(names.prepared(rank)) for rank in range(run.tasks)]
        check_bad_records(prepared, run.spec.max_bad_fraction)
        check_documents_remain(prepared)
        folder.write_json(names.decided, _decide(run, folder, names))
    done = folder.read_json(names.decided)
    counts = {
        "exactDuplicates": done["exact"],
        "nearDuplicates": done["near"],
        "kept": done["kept"],
    }
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)


def _decide(run: PipelineRun, folder: Folder, names: PipelineFiles) -> dict[str, Any]:
    """Write the decisions about the documents of each task; return what the report tells."""
    from pretrain_workloads.data.dedup.clusters import Deduplicator  # numba loads slowly
    from pretrain_workloads.data.dedup.table import PreparedShards, read_table

    spec = run.spec.deduplication
    shards = PreparedShards(folder, names, run.tasks)
    thresholds = _thresholds(run)
    floors = run.spec.models.quality.keep if run.spec.models.quality else []
    table = read_table(shards, spec.exact or spec.near is not None, thresholds, floors)
    deduplicator = Deduplicator(table, _edges(run, folder, names), thresholds)
    similarity = None if spec.near is None else spec.near.similarity
    if spec.budget is not None and thresholds is not None:
        similarity = deduplicator.within_budget(spec.budget.tokens, thresholds.lowest)
    clusters = deduplicator.clusters(similarity)
    if not clusters.decisions["keep"].any():
        raise UserError(
            f"spec.models.quality.keep: no document is left of {len(table.below)}; raise fraction"
        )
    dropped: dict[str, dict[str, Counter[str]]] = {"quality": {}, "exact": {}, "near": {}}
    start = 0
    for rank, shard in enumerate(shards.columns("language", "bytes")):
        decisions = clusters.decisions[start : start + shard.num_rows]
        start += shard.num_rows
        write_array(folder, names.decisions(rank), decisions)
        _count(dropped, decisions, shard["language"].to_pylist(), shard["bytes"].to_numpy())
    return {
        "quality": int(table.below.sum()),
        "exact": clusters.exact,
        "near": clusters.near,
        "kept": int(clusters.decisions["keep"].sum()),
        "similarity": clusters.similarity,
        "curve": clusters.curve,
        "sizes": clusters.sizes,
        "dropped": dropped,
        "examples": clusters.examples,
    }


def _thresholds(run: PipelineRun) -> Any:
    from pretrain_workloads.data.dedup.bands import banding
    from pretrain_workloads.data.dedup.thresholds import Thresholds

    near = run.spec.deduplication.near
    return None if near is None else Thresholds(near, banding(run.spec.deduplication).floor)


def _edges(run: PipelineRun, folder: Folder, names: PipelineFiles) -> AnyArray:
    """Return the edges that all tasks of `match` found."""
    from pretrain_workloads.data.dedup.pairs import EDGE

    if run.spec.deduplication.near is None:
        return np.empty(0, EDGE)
    return np.concatenate([read_array(folder, names.edges(rank)) for rank in range(run.tasks)])


def _count(
    dropped: dict[str, dict[str, Counter[str]]],
    decisions: AnyArray,
    languages: list[str],
    sizes: AnyArray,
) -> None:
    """Add the documents and bytes that are dropped, by reason and language."""
    from pretrain_workloads.data.dedup.clusters import reason_of

    for row in np.flatnonzero(~decisions["keep"]).tolist():
        kind = reason_of(decisions[row])
        counts = dropped[kind].setdefault(languages[row], Counter())
        counts["documents"] += 1
        counts["bytes"] += int(sizes[row])


def check_bad_records(prepared: list[dict[str, Any]], max_fraction: float) -> None:
    """Check the share of bad records over all tasks.

    Raises:
        BadData: If it is too large.
    """
    kinds: Counter[str] = sum((Counter(task["quarantined"]) for task in prepared), Counter())
    good = sum(counts["documents"] for task in prepared for counts in task["read"].values())
    first = [bad for task in prepared for bad in task["first_bad"]][:1]
    check_fraction(good, kinds, first, max_fraction)


def check_documents_remain(prepared: list[dict[str, Any]]) -> None:
    """Refuse to continue without documents.

    Raises:
        UserError: If no document passed the rules; says what dropped how many.
    """
    if any(task["passed"] for task in prepared):
        return
    unreadable: Counter[str] = sum((Counter(task["quarantined"]) for task in prepared), Counter())
    rejected: Counter[str] = sum((Counter(task["rejected"]) for task in prepared), Counter())
    titled = Counter({step_title(key): count for key, count in rejected.items()})
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
        f"spec.rules: no document is left of {read}: {_most_common(titled)}; loosen these"
    )


def _most_common(counts: Counter[str]) -> str:
    return ", ".join(f"{name} dropped {count}" for name, count in counts.most_common(6))
