"""Read a file of a source as `prepare` does."""

import io
import json
from pathlib import Path
from typing import Any

from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.data.sources.compression import compression_of
from pretrain_workloads.data.sources.formats import format_of
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.data.sources.quarantine import Quarantine
from pretrain_workloads.data.sources.reader import SourceReader
from pretrain_workloads.storage import open_uri

type BadRecords = list[dict[str, Any]]


def read_all(
    folder: Path, path: str, source: dict[str, Any], **changes: Any
) -> tuple[list[Batch], BadRecords]:
    """Return the documents of a file, and what is in quarantine.

    Args:
        folder: Folder of the source.
        path: File in it.
        source: Fields of the source beside name and URI.
        changes: Fields of the piece (`start`, `version`, …), or of the spec (`max_…`).
    """
    limits = {name: changes.pop(name) for name in list(changes) if name.startswith("max_")}
    spec = DataPipelineSpec.model_validate(
        {
            "sources": [{"name": "s", "uri": f"file://{folder}/*"} | source],
            "output": {"uri": "file:///pretrain/out"},
            "max_bad_fraction": 1.0,
        }
        | limits
    )
    storage, stream = open_uri(f"file://{folder}"), io.BytesIO()
    stat, name = storage.stat(path), format_of(path)
    assert name is not None
    known: dict[str, Any] = {"size": stat.size, "version": stat.version}
    known["encoding"] = spec.sources[0].encoding
    piece = Piece(0, path, name, compression_of(path), **(known | changes))
    quarantine = Quarantine(stream, spec.max_bad_fraction)
    batches = list(SourceReader(spec, {0: storage}, quarantine).read_batches([piece]))
    return batches, [json.loads(line) for line in stream.getvalue().splitlines()]


def read(folder: Path, path: str, **changes: Any) -> tuple[list[tuple[str, str]], BadRecords]:
    """Return (id, text) of the documents of a file, and what is in quarantine."""
    source = changes.pop("source", {})
    batches, bad = read_all(folder, path, source, **changes)
    return [pair for b in batches for pair in zip(b.ids, b.texts, strict=True)], bad
