"""`compose`: hold out, mix, order; write the plan of the stream, the validation set, the ledger."""

import io
import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import DatasetRun
from pretrain_api.v1alpha1.tokendataset import DatasetSummary, PartSummary
from pretrain_workloads.dataset.inputs import matching, open_inputs
from pretrain_workloads.dataset.layout import LEDGER, VALIDATION, Work
from pretrain_workloads.dataset.mixture import USE, Numbers, Part, hold_out, plan_uses
from pretrain_workloads.dataset.streams import cut, open_tokens, publish_pair, read_documents
from pretrain_workloads.dataset.tokenize import output_folder, tokenizer_summary
from pretrain_workloads.failures import UserError
from pretrain_workloads.indexed_blocks import token_type
from pretrain_workloads.storage import Folder

log = logging.getLogger(__name__)


def compose(run: DatasetRun) -> ExitReport:
    """Plan the stream, unless that is done.

    Raises:
        UserError: If a part of the mixture has no document left for training.
    """
    folder, work = output_folder(run), Work(run.tasks)
    if folder.exists(work.composed):
        return _report(folder.read_json(work.composed))
    documents, firsts = read_documents(folder, work, run.tasks)
    lengths: Numbers = documents["tokens"].to_numpy()
    hashes = _hashes(documents)
    members = _members(run, documents)
    held_out = _held_out(run, members, lengths, hashes)
    parts = _parts(run, members, held_out)
    length = run.spec.sequence_length
    sequences = run.spec.tokens // length
    uses = plan_uses(parts, lengths, hashes, sequences * length + 1, run.spec.seed)
    validation = _validation_uses(run, held_out, lengths)
    tokenizer = tokenizer_summary(run)
    files = []
    if len(validation):
        dtype = token_type(tokenizer.vocabulary_size)
        end = validation_sequences(run, validation) * length + 1
        with open_tokens(folder, work, firsts, lengths, dtype) as tokens:
            pair = cut(tokens, validation, 0, end, tokenizer.end_of_document)
        files += publish_pair(folder, VALIDATION, *pair)
    files.append(_write_ledger(run, folder, documents, uses, validation))
    _write_plan(folder, work, firsts, lengths, uses)
    summary = _summary(run, parts, lengths, uses, validation, tokenizer.vocabulary_size)
    done = {
        "summary": summary.model_dump(by_alias=True),
        "files": [file.model_dump(by_alias=True) for file in files],
        "validationTokens": int(validation["tokens"].sum()),
    }
    folder.write_json(work.composed, done)
    return _report(done)


def block_sequences(run: DatasetRun) -> int:
    """Return the sequences of a block."""
    return run.spec.block_tokens // run.spec.sequence_length


def validation_sequences(run: DatasetRun, validation: npt.NDArray[Any]) -> int:
    """Return the sequences of the validation set."""
    return int(validation["tokens"].sum() - 1) // run.spec.sequence_length


def _hashes(documents: pa.Table) -> npt.NDArray[np.uint64]:
    names = documents["id"].to_pylist()
    found = (xxhash.xxh3_64_intdigest(name.encode()) for name in names)
    return np.fromiter(found, np.uint64, len(names))


def _members(run: DatasetRun, documents: pa.Table) -> list[npt.NDArray[np.bool_]]:
    artifacts = documents["artifact"].to_numpy()
    chosen = zip(run.spec.mixture, open_inputs(run).part_artifact, strict=True)
    return [
        matching(documents, part.where) & (artifacts == artifact) & _not_empty(documents)
        for part, artifact in chosen
    ]


def _not_empty(documents: pa.Table) -> npt.NDArray[np.bool_]:
    some: npt.NDArray[np.bool_] = documents["tokens"].to_numpy() > 1
    return some


def _held_out(
    run: DatasetRun,
    members: list[npt.NDArray[np.bool_]],
    lengths: Numbers,
    hashes: npt.NDArray[np.uint64],
) -> Numbers:
    candidates = np.flatnonzero(np.logical_or.reduce(members))
    least = run.spec.sequence_length + 1
    return hold_out(candidates, lengths, hashes, run.spec.validation.fraction, least)


def _parts(run: DatasetRun, members: list[npt.NDArray[np.bool_]], held_out: Numbers) -> list[Part]:
    parts, problems = [], []
    for number, (part, mine) in enumerate(zip(run.spec.mixture, members, strict=True)):
        mine[held_out] = False
        documents = np.flatnonzero(mine)
        if not len(documents):
            problems.append(
                f"spec.mixture[{number}]: all its documents are held out for validation; "
                f"use a validation.fraction below {run.spec.validation.fraction}, or more text"
            )
        parts.append(Part(documents, part.weight))
    if problems:
        raise UserError("; ".join(problems))
    return parts


def _validation_uses(run: DatasetRun, held_out: Numbers, lengths: Numbers) -> npt.NDArray[Any]:
    """Return the uses of the validation set: whole sequences, at most `maxTokens`."""
    length = run.spec.sequence_length
    uses = np.zeros(len(held_out), USE)
    uses["document"], uses["part"], uses["tokens"] = held_out, -1, lengths[held_out]
    most = max(1, run.spec.validation.max_tokens // length)
    sequences = min(int(uses["tokens"].sum() - 1) // length, most)
    if sequences < 1:
        return uses[:0]
    ends = np.cumsum(uses["tokens"])
    return uses[: int(np.searchsorted(ends, sequences * length + 1)) + 1]


def _write_ledger(
    run: DatasetRun,
    folder: Folder,
    documents: pa.Table,
    uses: npt.NDArray[Any],
    validation: npt.NDArray[Any],
) -> Any:
    """Write one row for each use: which document, in which part and epoch, where in the stream."""
    both = np.concatenate((uses, validation))
    starts = np.concatenate([np.cumsum(u["tokens"]) - u["tokens"] for u in (uses, validation)])
    block_tokens = block_sequences(run) * run.spec.sequence_length
    chosen = documents.take(pa.array(both["document"]))
    split = np.where(both["part"] < 0, "validation", "train")
    table = pa.table(
        {
            "id": chosen["id"],
            "language": chosen["language"],
            "domain": chosen["domain"],
            "source": chosen["source"],
            "split": pa.array(split.tolist(), pa.string()),
            "part": pa.array(both["part"]),
            "epoch": pa.array(both["epoch"]),
            "tokens": pa.array(both["tokens"]),
            "start": pa.array(starts),
            "block": pa.array((starts // block_tokens).astype(np.int32)),
        }
    )
    with folder.publish(LEDGER) as publication:
        pq.write_table(table, publication.local, compression="zstd")
    return publication.file


def _write_plan(
    folder: Folder, work: Work, firsts: Numbers, lengths: Numbers, uses: npt.NDArray[Any]
) -> None:
    stream = io.BytesIO()
    np.savez(stream, firsts=firsts, lengths=lengths, uses=uses)
    folder.write_bytes(work.plan, stream.getvalue())


def _summary(
    run: DatasetRun,
    parts: list[Part],
    lengths: Numbers,
    uses: npt.NDArray[Any],
    validation: npt.NDArray[Any],
    vocabulary_size: int,
) -> DatasetSummary:
    length = run.spec.sequence_length
    sequences = run.spec.tokens // length
    given = np.bincount(uses["part"], uses["tokens"], len(parts))
    details = [
        PartSummary(
            documents=len(part.documents),
            unique_tokens=int(lengths[part.documents].sum()),
            tokens=int(tokens),
            epochs=round(float(tokens) / float(lengths[part.documents].sum()), 3),
        )
        for part, tokens in zip(parts, given, strict=True)
    ]
    return DatasetSummary(
        tokens=sequences * length,
        sequences=sequences,
        blocks=-(-sequences // block_sequences(run)),
        sequence_length=length,
        validation_sequences=validation_sequences(run, validation) if len(validation) else 0,
        vocabulary_size=vocabulary_size,
        parts=details,
    )


def _report(done: dict[str, Any]) -> ExitReport:
    summary = DatasetSummary.model_validate(done["summary"])
    counts = {"tokens": summary.tokens, "sequences": summary.sequences, "blocks": summary.blocks}
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)
