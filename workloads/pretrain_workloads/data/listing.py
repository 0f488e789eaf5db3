"""`list`: list the input files, name the artifact after them, and stop if it exists already."""

import logging
from collections.abc import Sequence
from typing import Any

from pretrain_api.artifacts import artifact_uri
from pretrain_api.digests import content_of, digest
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_api.v1alpha1.pipeline.summary import PipelineSummary
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.data.models.build import build_models
from pretrain_workloads.data.models.scoring import DEFAULT_MODEL
from pretrain_workloads.data.sources.compression import compression_of
from pretrain_workloads.data.sources.formats import FORMATS, format_of
from pretrain_workloads.data.sources.pieces import Piece, share_out, write_shares
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import (
    Folder,
    StoredFile,
    list_matching,
    open_output,
    read_manifest,
)
from pretrain_workloads.storage.folder import file_checksum
from pretrain_workloads.task import run_again_if_complete

log = logging.getLogger(__name__)

FORMAT_VERSION = "2"
"""Part of every digest. Change it when the same inputs would give another artifact."""

_PIECES_PER_TASK = 4
"""Pieces that each task gets, about: small ones balance the tasks."""


def list_inputs(run: PipelineRun) -> ExitReport:
    """Write down the inputs of `run`, and return the artifact that they determine.

    Raises:
        UserError: If a source matches nothing, cannot be read, or is empty, or the samples of a
            model are too few.
    """
    listed = [list_matching(source) for source in run.spec.sources]
    files = _files(run.spec, [stored for _, stored in listed])
    artifact = _artifact(run, files)
    run = run.model_copy(update={"artifact": artifact})
    folder = open_output(run)
    return run_again_if_complete(folder, lambda: _list(run, artifact, listed, files))


def _list(
    run: PipelineRun,
    artifact: ArtifactRef,
    listed: Sequence[tuple[Folder, list[StoredFile]]],
    files: list[Piece],
) -> ExitReport:
    """Write down the inputs, unless the artifact is complete."""
    folder = open_output(run)
    if manifest := read_manifest(folder):
        log.info("%s is already complete", artifact.uri)
        return ExitReport(
            exit_class=ExitClass.COMPLETE,
            artifact=artifact,
            reused=True,
            pipeline=PipelineSummary.model_validate(manifest.summary),
        )
    target = sum(file.cost for file in files) / run.tasks / _PIECES_PER_TASK
    pieces = [
        piece
        for file in files
        for piece in FORMATS[file.format].cut(listed[file.source][0], file, target)
    ]
    write_shares(folder, PipelineFiles(run.tasks).inputs, share_out(pieces, run.tasks))
    build_models(run.spec, folder, PipelineFiles(run.tasks))
    counts = {
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "pieces": len(pieces),
    }
    log.info("%s files, %s bytes -> %s", counts["files"], counts["bytes"], artifact.uri)
    return ExitReport(exit_class=ExitClass.COMPLETE, artifact=artifact, counts=counts)


def _artifact(run: PipelineRun, files: list[Piece]) -> ArtifactRef:
    """Return the artifact that the spec and the input files determine."""
    content = content_of(run.spec, leave_out=("output",), with_defaults=True)
    known = [_identity(run.spec, file) for file in files]
    name = digest(FORMAT_VERSION, content, known, _other_files(run.spec))
    uri = artifact_uri(run.spec.output.uri, "DataPipeline", run.name, name)
    return ArtifactRef(uri=uri, digest=name)


def _other_files(spec: DataPipelineSpec) -> list[list[Any]]:
    """Return what identifies the files of benchmarks, samples and models.

    With other ones, other documents would stay.
    """
    listed = [(source.name, list_matching(source)[1]) for source in spec.other_sources]
    quality = spec.models.quality
    if quality is not None and quality.onnx is not None:
        within = quality.onnx.model_copy(update={"uri": f"{quality.onnx.uri.rstrip('/')}/*"})
        listed.append(("onnx", list_matching(within)[1]))
    found = [[name, file.path, file.size, file.version] for name, files in listed for file in files]
    if quality is not None and quality.onnx is None and not quality.good:
        found.append([DEFAULT_MODEL.name, file_checksum(DEFAULT_MODEL)])
    return found


def _identity(spec: DataPipelineSpec, file: Piece) -> list[Any]:
    return [spec.sources[file.source].name, file.path, file.size, file.version]


def _files(spec: DataPipelineSpec, listed: list[list[StoredFile]]) -> list[Piece]:
    """Return each file that is not empty as one piece.

    Raises:
        UserError: If the format of a file is unknown, or all files of a source are empty.
    """
    problems, pieces = [], []
    for index, (source, files) in enumerate(zip(spec.sources, listed, strict=True)):
        if not any(file.size for file in files):
            problems.append(f"{source.uri}: all {len(files)} files are empty")
        for file in files:
            name = _format(source, file)
            if name is None:
                problems.append(
                    f"{source.uri}: {file.path}: the name does not tell the format; "
                    f"set sources[{index}].format to one of {', '.join(FORMATS)}"
                )
            elif file.size:
                compression = compression_of(file.path)
                known = (file.path, name, compression, file.size, file.version, source.encoding)
                pieces.append(Piece(index, *known))
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UserError("; ".join(problems[:5]) + more)
    return pieces


def _format(source: Source, file: StoredFile) -> str | None:
    return format_of(file.path) if source.format == "auto" else source.format
