"""`list`: freeze what is read, name the artifact, and stop if it is there already."""

import logging
from dataclasses import replace
from typing import Any

from pretrain_api.artifacts import artifact_uri
from pretrain_api.digests import content_of, digest
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec, PipelineSummary, Source
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.data.sources.pieces import (
    FORMATS,
    Piece,
    compression_of,
    cut_file,
    format_of,
    share_out,
)
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.storage import (
    Folder,
    StoredFile,
    list_matching,
    open_uri,
    read_manifest,
)

log = logging.getLogger(__name__)

FORMAT_VERSION = "1"
"""Part of every digest; changes when the same inputs would give another artifact."""


def list_inputs(run: PipelineRun) -> ExitReport:
    """Freeze the inputs of `run` and return the artifact that they determine.

    Raises:
        UserError: If a source matches nothing, cannot be read, or has no text at all.
    """
    spec = run.spec
    listed = [list_matching(source) for source in spec.sources]
    whole = _whole_files(spec, [files for _, files in listed])
    asked = content_of(spec, leave_out=("output",), with_defaults=True)
    name = digest(FORMAT_VERSION, asked, [_identity(spec, piece) for piece in whole])
    uri = artifact_uri(spec.output.uri, "DataPipeline", run.name, name)
    artifact = ArtifactRef(uri=uri, digest=name)
    reference = spec.output.credentials_secret_ref
    folder = open_uri(uri, reference.name if reference else None)
    if manifest := read_manifest(folder):
        log.info("%s is complete already", uri)
        return ExitReport(
            exit_class=ExitClass.COMPLETE,
            artifact=artifact,
            reused=True,
            pipeline=PipelineSummary.model_validate(manifest.summary),
        )
    target = sum(piece.cost for piece in whole) / run.tasks / 4  # small parts share out evenly
    pieces = [part for piece in whole for part in _parts(listed[piece.source][0], piece, target)]
    _write_inputs(folder, PipelineFiles(run.tasks), share_out(pieces, run.tasks))
    counts = {"files": len(whole), "bytes": sum(p.size for p in whole), "pieces": len(pieces)}
    log.info("%s files, %s bytes -> %s", counts["files"], counts["bytes"], uri)
    return ExitReport(exit_class=ExitClass.COMPLETE, artifact=artifact, counts=counts)


def _identity(spec: DataPipelineSpec, piece: Piece) -> list[Any]:
    return [spec.sources[piece.source].name, piece.path, piece.size, piece.version]


def _whole_files(spec: DataPipelineSpec, listed: list[list[StoredFile]]) -> list[Piece]:
    """Return one piece for each file that holds anything.

    Raises:
        UserError: If the format of a file is unknown, or all files of a source are empty.
    """
    problems, pieces = [], []
    for index, (source, files) in enumerate(zip(spec.sources, listed, strict=True)):
        if not any(file.size for file in files):
            problems.append(f"{source.uri}: all {len(files)} files are empty")
        for file in files:
            found = _format(source, file)
            if found is None:
                problems.append(
                    f"{source.uri}: {file.path}: the name does not tell the format; "
                    f"set sources[{index}].format to one of {', '.join(FORMATS)}"
                )
            elif file.size:
                compression = compression_of(file.path)
                pieces.append(Piece(index, file.path, found, compression, file.size, file.version))
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UserError("; ".join(problems[:5]) + more)
    return pieces


def _format(source: Source, file: StoredFile) -> str | None:
    return format_of(file.path) if source.format == "auto" else source.format


def _parts(folder: Folder, piece: Piece, target: float) -> list[Piece]:
    if piece.format != "parquet":
        return cut_file(piece, target)
    return _row_groups(folder, piece)


def _row_groups(folder: Folder, piece: Piece) -> list[Piece]:
    """Return a piece for each row group of a parquet file.

    Raises:
        BadData: If it is no parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with folder.open(piece.path) as stream:
        try:
            footer = pq.ParquetFile(stream).metadata
        except pa.ArrowInvalid as error:
            raise BadData(f"{folder.uri_of(piece.path)}: is no parquet file: {error}") from error
    parts, rows = [], 0
    for group in range(footer.num_row_groups):
        details = footer.row_group(group)
        share = max(1, piece.size * details.num_rows // max(1, footer.num_rows))
        parts.append(replace(piece, start=group, end=group + 1, first_row=rows, part_bytes=share))
        rows += details.num_rows
    return parts


def _write_inputs(folder: Folder, work: PipelineFiles, shares: list[list[Piece]]) -> None:
    folder.write_json(work.inputs, [[piece.dump() for piece in share] for share in shares])


def read_inputs(folder: Folder, work: PipelineFiles, rank: int) -> list[Piece]:
    """Return the pieces that task `rank` reads."""
    return [Piece(**piece) for piece in folder.read_json(work.inputs)[rank]]


def output_folder(run: PipelineRun) -> Folder:
    """Return the folder of the artifact that `run` makes.

    Raises:
        UserError: If the run does not name it.
    """
    if run.artifact is None:
        raise UserError("run.artifact: is required after the stage `list`")
    reference = run.spec.output.credentials_secret_ref
    return open_uri(run.artifact.uri, reference.name if reference else None)
