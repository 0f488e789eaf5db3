"""`report`: index, report and, last of all, the manifest that makes the artifact exist."""

import logging
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.datapipeline import LanguageSummary, PipelineSummary
from pretrain_workloads.data.files import (
    INDEX,
    INDEX_COLUMNS,
    PAGE,
    REPORT,
    PipelineFiles,
    documents,
)
from pretrain_workloads.data.listing import output_folder
from pretrain_workloads.data.reporting.page import render_page
from pretrain_workloads.data.rules.apply import merge_samples, rule_key
from pretrain_workloads.data.shards import read_columns
from pretrain_workloads.storage import Folder, read_manifest, seal_manifest

log = logging.getLogger(__name__)

_SHOWN = 300
"""Characters of a duplicate in the report."""

_PACKAGES = ("datatrove", "pyarrow", "numba", "numpy", "py3langid")


def report(run: PipelineRun) -> ExitReport:
    """Complete the artifact, unless it is complete, and tidy up."""
    folder, work = output_folder(run), PipelineFiles(run.tasks)
    assert run.artifact is not None
    manifest = read_manifest(folder)
    if manifest is None:
        summary, files = _complete(run, folder, work)
        manifest = seal_manifest(
            folder,
            _PACKAGES,
            kind="DataPipeline",
            name=run.name,
            digest=run.artifact.digest,
            spec=run.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
            files=files,
            summary=summary.model_dump(by_alias=True),
        )
    folder.delete("work")  # only now: until the manifest is there, a stage may run again
    folder.delete_partial()
    summary = PipelineSummary.model_validate(manifest.summary)
    log.info("%s documents of %s read stay", summary.kept, summary.read)
    return ExitReport(
        exit_class=ExitClass.COMPLETE,
        artifact=ArtifactRef(uri=run.artifact.uri, digest=run.artifact.digest),
        counts={"kept": summary.kept},
        pipeline=summary,
    )


def _complete(
    run: PipelineRun, folder: Folder, work: PipelineFiles
) -> tuple[PipelineSummary, list[ArtifactFile]]:
    prepared = [folder.read_json(work.prepared(rank)) for rank in range(run.tasks)]
    decided = folder.read_json(work.decided)
    files = [
        ArtifactFile.model_validate(file)
        for rank in range(run.tasks)
        for file in folder.read_json(work.written(rank))["files"]
    ]
    index = _index(folder, run.tasks)
    with folder.publish(INDEX) as publication:
        pq.write_table(index, publication.local, compression="zstd")
    assert publication.file is not None
    summary = _summary(run, prepared, decided, index)
    details = _details(run, folder, work, prepared, decided, summary)
    files += [
        publication.file,
        folder.write_json(REPORT, details),
        folder.write_bytes(PAGE, render_page(run.name, details).encode()),
    ]
    return summary, sorted(files, key=lambda file: file.path)


def _index(folder: Folder, tasks: int) -> pa.Table:
    columns = [read_columns(folder, documents(rank), INDEX_COLUMNS) for rank in range(tasks)]
    return pa.concat_tables(columns)


def _summary(
    run: PipelineRun, prepared: list[dict[str, Any]], decided: dict[str, Any], index: pa.Table
) -> PipelineSummary:
    rejected: Counter[str] = sum((Counter(task["rejected"]) for task in prepared), Counter())
    keys = [rule_key(position, rule) for position, rule in enumerate(run.spec.rules, 1)]
    grouped = index.group_by("language").aggregate(
        [("id", "count"), ("characters", "sum"), ("bytes", "sum")]
    )
    languages = {
        row["language"]: LanguageSummary(
            documents=row["id_count"], characters=row["characters_sum"], bytes=row["bytes_sum"]
        )
        for row in sorted(grouped.to_pylist(), key=lambda row: -row["bytes_sum"])
    }
    return PipelineSummary(
        read=sum(read_totals(prepared).values()),
        kept=index.num_rows,
        rejected={key: rejected[key] for key in keys},
        exact_duplicates=decided["exact"],
        near_duplicates=decided["near"],
        quarantined=sum(sum(task["quarantined"].values()) for task in prepared),
        languages=languages,
    )


def read_totals(prepared: list[dict[str, Any]], what: str = "documents") -> Counter[str]:
    """Return what was read, before any rule, by language."""
    totals: Counter[str] = Counter()
    for task in prepared:
        for language, counts in task["read"].items():
            totals[language] += counts[what]
    return totals


def _details(
    run: PipelineRun,
    folder: Folder,
    work: PipelineFiles,
    prepared: list[dict[str, Any]],
    decided: dict[str, Any],
    summary: PipelineSummary,
) -> dict[str, Any]:
    """Return what `report.json` holds: nothing in it depends on the number of tasks or the time."""
    quarantined: Counter[str] = sum((Counter(task["quarantined"]) for task in prepared), Counter())
    return {
        "summary": summary.model_dump(by_alias=True),
        "readByLanguage": {
            what: dict(read_totals(prepared, what).most_common())
            for what in ("documents", "characters", "bytes")
        },
        "quarantined": dict(sorted(quarantined.items())),
        "firstUnreadable": [bad for task in prepared for bad in task["first_bad"]][:1],
        "rejects": merge_samples([task["samples"] for task in prepared]),
        "curve": decided["curve"],
        "duplicates": _examples(run, folder, work, decided["examples"]),
    }


def _examples(
    run: PipelineRun, folder: Folder, work: PipelineFiles, pairs: list[tuple[int, int, float]]
) -> list[dict[str, Any]]:
    """Return the texts of some near-duplicates."""
    numbers = sorted({number for left, right, _ in pairs for number in (left, right)})
    texts: dict[int, tuple[str, str]] = {}
    start = 0
    for rank in range(run.tasks if numbers else 0):
        rows = read_columns(folder, work.shard(rank), ("id",)).num_rows
        here = [number for number in numbers if start <= number < start + rows]
        if here:
            table = read_columns(folder, work.shard(rank), ("id", "text"))
            for number in here:
                row = table.slice(number - start, 1)
                shown = pc.utf8_slice_codeunits(row["text"], 0, _SHOWN)[0].as_py()
                texts[number] = (row["id"][0].as_py(), shown)
        start += rows
    return [
        {
            "similarity": round(similarity, 3),
            "kept": dict(zip(("id", "text"), texts[left], strict=True)),
            "dropped": dict(zip(("id", "text"), texts[right], strict=True)),
        }
        for left, right, similarity in pairs
    ]
