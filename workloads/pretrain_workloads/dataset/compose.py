"""`compose`: hold out documents for validation, mix the others, and plan the training stream.

It writes the plan, the validation set and the ledger.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import DatasetRun
from pretrain_api.v1alpha1.tokendataset import DatasetSummary, PartSummary, TokenDatasetSpec
from pretrain_workloads.dataset.files import DatasetFiles
from pretrain_workloads.dataset.holding_out import (
    content_groups,
    content_hashes,
    first_of_groups,
    hold_out,
)
from pretrain_workloads.dataset.inputs import matching, open_inputs, tokenizer_summary
from pretrain_workloads.dataset.ledger import LedgerUses, write_ledger
from pretrain_workloads.dataset.lengths import (
    block_sequences,
    dataset_sequences,
    stream_tokens,
    validation_sequences,
)
from pretrain_workloads.dataset.mixture import Numbers, Part, places_of, plan_uses
from pretrain_workloads.dataset.overlaps import mixture_warnings
from pretrain_workloads.dataset.plan import StreamPlan
from pretrain_workloads.dataset.streams import (
    read_documents,
)
from pretrain_workloads.dataset.validation import (
    ValidationUses,
    set_warnings,
    validation_uses,
    write_validation,
)
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import open_output

_MAX_WARNINGS = 20
"""Warnings that a status holds."""

type Mask = npt.NDArray[np.bool_]
"""One truth value for each document."""


def compose(run: DatasetRun) -> ExitReport:
    """Plan the stream, unless that is done.

    Raises:
        UserError: If a part of the mixture has no document left for training.
    """
    folder, names = open_output(run), DatasetFiles(run.tasks)
    if folder.exists(names.composed):
        return _report(folder.read_json(names.composed))
    spec = run.spec
    documents, firsts = read_documents(folder, names, run.tasks)
    lengths: Numbers = documents["tokens"].to_numpy()
    hashes = content_hashes(documents)
    artifacts, clusters = (documents[name].to_numpy() for name in ("artifact", "cluster"))
    groups = content_groups(hashes, artifacts, clusters)
    masks = _part_masks(run, documents)
    candidates = np.flatnonzero(np.logical_or.reduce(masks))
    min_tokens = stream_tokens(1, spec.sequence_length)
    held_out = hold_out(candidates, lengths, groups, spec.validation.fraction, min_tokens)
    parts = _parts(spec, masks, held_out, documents)
    total = stream_tokens(dataset_sequences(spec), spec.sequence_length)
    prompts: Numbers = documents["prompt"].to_numpy()
    uses = plan_uses(parts, lengths, hashes, total, spec.seed, spec.reuse.weight_per_use)
    plan = StreamPlan(firsts, lengths, prompts, uses)
    sets = validation_uses(run, documents, first_of_groups(held_out, groups), lengths)
    tokenizer = tokenizer_summary(run)
    held_out_text = write_validation(run, tokenizer, folder, plan, sets)
    files = held_out_text.files
    block_tokens = block_sequences(spec) * spec.sequence_length
    validation = np.concatenate([one.uses for one in sets])
    ledger = LedgerUses(plan.uses, validation, open_inputs(run).digests)
    files.append(write_ledger(folder, documents, ledger, block_tokens))
    plan.write(folder, names.plan)
    summary = _summary(spec, tokenizer.vocabulary_size, parts, plan, sets)
    warnings = mixture_warnings(spec, summary.parts, [part.documents for part in parts], hashes)
    warnings = [*set_warnings(sets), *warnings][:_MAX_WARNINGS]
    summary = summary.model_copy(update={"warnings": warnings})
    done = {
        "summary": summary.model_dump(by_alias=True),
        "files": [file.model_dump(by_alias=True) for file in files],
        "validation": held_out_text.entries,
    }
    folder.write_json(names.composed, done)
    return _report(done)


def _part_masks(run: DatasetRun, documents: pa.Table) -> list[Mask]:
    """Return for each part of the mixture the documents that it selects, except empty ones."""
    artifacts = documents["artifact"].to_numpy()
    not_empty = documents["tokens"].to_numpy() > 1  # the end of the document counts
    parts = zip(run.spec.mixture, open_inputs(run).part_artifact, strict=True)
    return [
        matching(documents, part.where) & (artifacts == artifact) & not_empty
        for part, artifact in parts
    ]


def _parts(
    spec: TokenDatasetSpec, masks: list[Mask], held_out: Numbers, documents: pa.Table
) -> list[Part]:
    """Return the parts without the documents that are held out.

    Raises:
        UserError: If a part has no document left, or documents without the quality that orders it.
    """
    parts, problems = [], []
    for number, (part, mask) in enumerate(zip(spec.mixture, masks, strict=True)):
        mask[held_out] = False
        left = np.flatnonzero(mask)
        if not len(left):
            problems.append(
                f"spec.mixture[{number}]: all its documents are held out for validation; "
                f"use a validation.fraction below {spec.validation.fraction}, or more text"
            )
        if spec.curriculum is None:
            parts.append(Part(left, part.weight))
            continue
        places = places_of(spec.curriculum, documents, left)
        if places is None:
            problems.append(
                f"spec.curriculum.by: quality: documents of mixture[{number}] have no quality; "
                f"give DataPipeline {part.pipeline_ref.name} a quality model, or use length"
            )
        parts.append(Part(left, part.weight, places, spec.curriculum.randomness))
    if problems:
        raise UserError("; ".join(problems))
    return parts


def _summary(
    spec: TokenDatasetSpec,
    vocabulary_size: int,
    parts: list[Part],
    plan: StreamPlan,
    sets: list[ValidationUses],
) -> DatasetSummary:
    length, sequences = spec.sequence_length, dataset_sequences(spec)
    tokens_used = np.bincount(plan.uses["part"], plan.uses["tokens"], len(parts))
    details = []
    for part, tokens in zip(parts, tokens_used, strict=True):
        unique = plan.lengths[part.documents].sum()
        details.append(
            PartSummary(
                documents=len(part.documents),
                unique_tokens=int(unique),
                tokens=int(tokens),
                epochs=round(float(tokens) / float(unique), 3),
            )
        )
    return DatasetSummary(
        tokens=sequences * length,
        sequences=sequences,
        blocks=-(-sequences // block_sequences(spec)),
        sequence_length=length,
        validation_sequences=sum(validation_sequences(one.uses, length) for one in sets),
        vocabulary_size=vocabulary_size,
        parts=details,
    )


def _report(done: dict[str, Any]) -> ExitReport:
    summary = DatasetSummary.model_validate(done["summary"])
    counts = {"tokens": summary.tokens, "sequences": summary.sequences, "blocks": summary.blocks}
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)
