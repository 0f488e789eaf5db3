"""`seal`: write `blocks.json` and, last of all, the manifest that completes the artifact."""

import logging
from typing import Any

from pretrain_api.artifacts import ArtifactFile, Manifest
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import DatasetRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.tokendataset import DatasetSummary
from pretrain_workloads.dataset.files import WORK, DatasetFiles
from pretrain_workloads.indexed_blocks import BLOCK_LIST
from pretrain_workloads.storage import Folder, open_output, read_manifest, seal_manifest

log = logging.getLogger(__name__)

_PACKAGES = ("numpy", "pyarrow", "sentencepiece")
"""Packages whose versions the manifest records."""


def seal(run: DatasetRun) -> ExitReport:
    """Complete the artifact, unless it is complete, and delete the files between stages."""
    folder = open_output(run)
    manifest = read_manifest(folder) or _write_manifest(run, folder)
    folder.delete(WORK)  # not before the manifest exists: until then a stage may run again
    folder.delete_partial()
    summary = DatasetSummary.model_validate(manifest.summary)
    log.info("%s blocks of %s tokens", summary.blocks, f"{summary.tokens:,}")
    return ExitReport(
        exit_class=ExitClass.COMPLETE,
        artifact=ArtifactRef(uri=run.artifact.uri, digest=run.artifact.digest),
        counts={"blocks": summary.blocks, "tokens": summary.tokens},
        dataset=summary,
    )


def _write_manifest(run: DatasetRun, folder: Folder) -> Manifest:
    names = DatasetFiles(run.tasks)
    composed = folder.read_json(names.composed)
    written = [folder.read_json(names.written(rank)) for rank in range(run.tasks)]
    summary = DatasetSummary.model_validate(composed["summary"])
    files = [
        ArtifactFile.model_validate(file) for done in (composed, *written) for file in done["files"]
    ]
    blocks = _describe_blocks(run, summary, written, composed["validation"])
    files.append(folder.write_json(BLOCK_LIST, blocks))
    return seal_manifest(
        folder,
        _PACKAGES,
        kind="TokenDataset",
        name=run.name,
        digest=run.artifact.digest,
        spec=run.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        inputs=[ArtifactRef(uri=i.uri, digest=i.digest) for i in (run.tokenizer, *run.documents)],
        files=sorted(files, key=lambda file: file.path),
        summary=summary.model_dump(by_alias=True),
    )


def _describe_blocks(
    run: DatasetRun,
    summary: DatasetSummary,
    written: list[dict[str, Any]],
    validation: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return the content of `blocks.json`."""
    blocks = [entry for done in written for entry in done["blocks"]]
    return {
        "sequenceLength": run.spec.sequence_length,
        "vocabularySize": summary.vocabulary_size,
        "blocks": sorted(blocks, key=lambda entry: str(entry["path"])),
        "validation": validation,
    }
