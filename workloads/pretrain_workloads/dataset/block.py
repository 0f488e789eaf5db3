"""`block`: one task writes its blocks; `seal`: the last stage makes the artifact exist."""

import io
import logging
from typing import Any

import numpy as np

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import DatasetRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.tokendataset import DatasetSummary
from pretrain_workloads.dataset.compose import block_sequences
from pretrain_workloads.dataset.layout import BLOCKS, VALIDATION, Work, block
from pretrain_workloads.dataset.streams import cut, open_tokens, publish_pair
from pretrain_workloads.dataset.tokenize import output_folder, tokenizer_summary
from pretrain_workloads.indexed_blocks import token_type
from pretrain_workloads.storage import Folder, read_manifest, seal_manifest

log = logging.getLogger(__name__)


def write_blocks(run: DatasetRun, rank: int) -> ExitReport:
    """Write every block whose number leaves `rank` when divided by the number of tasks."""
    folder, work = output_folder(run), Work(run.tasks)
    if not folder.exists(work.written(rank)):
        summary = DatasetSummary.model_validate(folder.read_json(work.composed)["summary"])
        numbers = range(rank, summary.blocks, run.tasks)
        done = _write(run, folder, work, summary, list(numbers))
        folder.write_json(work.written(rank), done)
    entries = folder.read_json(work.written(rank))["blocks"]
    counts = {"blocks": len(entries), "sequences": sum(entry["sequences"] for entry in entries)}
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)


def _write(
    run: DatasetRun, folder: Folder, work: Work, summary: DatasetSummary, numbers: list[int]
) -> dict[str, Any]:
    tokenizer = tokenizer_summary(run)
    dtype = token_type(tokenizer.vocabulary_size)
    per_block, length = block_sequences(run), run.spec.sequence_length
    with np.load(io.BytesIO(folder.read_bytes(work.plan))) as plan:
        firsts, lengths, uses = plan["firsts"], plan["lengths"], plan["uses"]
    entries, files = [], []
    with open_tokens(folder, work, firsts, lengths, dtype) as tokens:
        for number in numbers:
            first = number * per_block
            sequences = min(per_block, summary.sequences - first)
            start, end = first * length, (first + sequences) * length + 1
            pair = cut(tokens, uses, start, end, tokenizer.end_of_document)
            files += publish_pair(folder, block(number), *pair)
            entries.append(_entry(block(number), sequences, length))
    return {"blocks": entries, "files": [file.model_dump(by_alias=True) for file in files]}


def _entry(path: str, sequences: int, length: int) -> dict[str, Any]:
    return {"path": path, "sequences": sequences, "tokens": sequences * length}


def seal(run: DatasetRun) -> ExitReport:
    """Write `blocks.json` and the manifest, unless they are there, and tidy up."""
    folder, work = output_folder(run), Work(run.tasks)
    manifest = read_manifest(folder)
    if manifest is None:
        manifest = _seal(run, folder, work)
    folder.delete("work")  # only now: until the manifest is there, a stage may run again
    folder.delete_partial()
    summary = DatasetSummary.model_validate(manifest.summary)
    log.info("%s blocks of %s tokens", summary.blocks, f"{summary.tokens:,}")
    return ExitReport(
        exit_class=ExitClass.COMPLETE,
        artifact=ArtifactRef(uri=run.artifact.uri, digest=run.artifact.digest),
        counts={"blocks": summary.blocks, "tokens": summary.tokens},
        dataset=summary,
    )


def _seal(run: DatasetRun, folder: Folder, work: Work) -> Any:
    composed = folder.read_json(work.composed)
    summary = DatasetSummary.model_validate(composed["summary"])
    written = [folder.read_json(work.written(rank)) for rank in range(run.tasks)]
    length = run.spec.sequence_length
    held_out = summary.validation_sequences
    content = {
        "sequenceLength": length,
        "vocabularySize": summary.vocabulary_size,
        "blocks": sorted(
            (entry for task in written for entry in task["blocks"]), key=lambda e: e["path"]
        ),
        "validation": [_entry(VALIDATION, held_out, length)] if held_out else [],
    }
    files = [file for part in (composed, *written) for file in part["files"]]
    known = [ArtifactFile.model_validate(file) for file in files]
    known.append(folder.write_json(BLOCKS, content))
    return seal_manifest(
        folder,
        ("numpy", "pyarrow", "sentencepiece"),
        kind="TokenDataset",
        name=run.name,
        digest=run.artifact.digest,
        spec=run.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        inputs=[ArtifactRef(uri=i.uri, digest=i.digest) for i in (run.tokenizer, *run.documents)],
        files=sorted(known, key=lambda file: file.path),
        summary=summary.model_dump(by_alias=True),
    )
