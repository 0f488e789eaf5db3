"""`report`: write index, report and, last of all, the manifest that completes the artifact."""

import logging
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.pipeline.summary import PipelineSummary
from pretrain_workloads.data.files import (
    INDEX,
    INDEX_COLUMNS,
    PAGE,
    REPORT,
    WORK,
    PipelineFiles,
    documents,
)
from pretrain_workloads.data.reporting.details import duplicate_examples, report_details
from pretrain_workloads.data.reporting.funnels import dropped_tables, funnels
from pretrain_workloads.data.reporting.losses import (
    MOST_WARNINGS,
    loss_warnings,
    losses_by_step,
    model_warnings,
)
from pretrain_workloads.data.reporting.page import render_page
from pretrain_workloads.data.reporting.summary import summarise
from pretrain_workloads.data.shards import read_columns
from pretrain_workloads.storage import Folder, open_output, read_manifest, seal_manifest

log = logging.getLogger(__name__)

_PACKAGES = ("datatrove", "pyarrow", "numba", "numpy", "pycld2")
"""Packages whose versions the manifest records."""


def report(run: PipelineRun) -> ExitReport:
    """Complete the artifact, unless it is complete, and delete the files between stages."""
    folder = open_output(run)
    assert run.artifact is not None
    manifest = read_manifest(folder)
    if manifest is None:
        summary, files = _complete(run, folder, PipelineFiles(run.tasks))
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
    folder.delete(WORK)  # not before the manifest exists: until then a stage may run again
    folder.delete_partial()
    summary = PipelineSummary.model_validate(manifest.summary)
    log.info("kept %s of %s documents", summary.kept, summary.read)
    return ExitReport(
        exit_class=ExitClass.COMPLETE,
        artifact=ArtifactRef(uri=run.artifact.uri, digest=run.artifact.digest),
        counts={"kept": summary.kept},
        pipeline=summary,
    )


def _complete(
    run: PipelineRun, folder: Folder, names: PipelineFiles
) -> tuple[PipelineSummary, list[ArtifactFile]]:
    """Write all files but the manifest; return the summary and the files of the artifact."""
    tasks = range(run.tasks)
    prepared = [folder.read_json(names.prepared(rank)) for rank in tasks]
    decided = folder.read_json(names.decided)
    index = _index(folder, run.tasks)
    losses = losses_by_step(prepared, decided)
    models = folder.read_json(names.models)
    summary = summarise(run.spec.rules, models["summary"], prepared, decided, index)
    warnings = [*model_warnings(models["summary"]), *loss_warnings(losses, prepared)]
    summary = summary.model_copy(update={"warnings": warnings[:MOST_WARNINGS]})
    shards = [names.shard(rank) for rank in tasks]
    duplicates = duplicate_examples(folder, shards, decided["examples"])
    details = report_details(summary, prepared, decided, duplicates) | {
        "losses": losses,
        "funnels": funnels(index, dropped_tables(folder, run.tasks)),
    }
    files = [
        *(_written(folder, names, rank) for rank in tasks),
        [ArtifactFile.model_validate(file) for file in models["files"]],
        [_write_index(folder, index)],
        [folder.write_json(REPORT, details)],
        [folder.write_bytes(PAGE, render_page(run.name, details).encode())],
    ]
    return summary, sorted((file for group in files for file in group), key=lambda f: f.path)


def _written(folder: Folder, names: PipelineFiles, rank: int) -> list[ArtifactFile]:
    """Return the files that a task of `write` added to the artifact."""
    files: list[dict[str, Any]] = folder.read_json(names.written(rank))["files"]
    return [ArtifactFile.model_validate(file) for file in files]


def _index(folder: Folder, tasks: int) -> pa.Table:
    columns = [read_columns(folder, documents(rank), INDEX_COLUMNS) for rank in range(tasks)]
    return pa.concat_tables(columns)


def _write_index(folder: Folder, index: pa.Table) -> ArtifactFile:
    with folder.publish(INDEX) as publication:
        pq.write_table(index, publication.local, compression="zstd")
    assert publication.file is not None
    return publication.file
