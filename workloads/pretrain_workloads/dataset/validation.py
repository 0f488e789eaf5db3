"""The validation sets: which held-out documents each holds, and its sequences."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.runs import DatasetRun
from pretrain_api.v1alpha1.tokendataset import OTHER_SET, TokenDatasetSpec
from pretrain_api.v1alpha1.tokenizer import TokenizerSummary
from pretrain_workloads.dataset.block import sequences_entry
from pretrain_workloads.dataset.files import DatasetFiles, validation
from pretrain_workloads.dataset.inputs import matching, open_inputs
from pretrain_workloads.dataset.lengths import stream_tokens, validation_sequences
from pretrain_workloads.dataset.mixture import USE, Numbers
from pretrain_workloads.dataset.plan import StreamPlan
from pretrain_workloads.dataset.streams import cut, cut_counted, open_tokens, publish_block
from pretrain_workloads.indexed_blocks import token_type
from pretrain_workloads.storage import Folder, open_artifact
from pretrain_workloads.tokenizer.piece_bytes import piece_bytes


@dataclass(frozen=True)
class ValidationUses:
    """One validation set."""

    name: str
    """Its name; empty if it is the only one."""
    uses: npt.NDArray[Any]
    """The uses of its documents (`mixture.USE`): whole sequences, or none."""


def validation_uses(
    run: DatasetRun, documents: pa.Table, held_out: Numbers, lengths: Numbers
) -> list[ValidationUses]:
    """Return the validation sets of a dataset, at most `maxTokens` of each.

    A document is in the first set that selects it; those that none selects make one of their own.

    Args:
        run: The run.
        documents: All tokenized documents.
        held_out: Those that are held out, each text once, in their order.
        lengths: Tokens of each document.
    """
    sets = run.spec.validation.sets
    if not sets:
        return [ValidationUses("", _uses(run.spec, held_out, lengths))]
    left = held_out
    found = []
    for wanted in sets:
        selected = matching(documents, wanted.where)[left]
        if wanted.pipeline_ref is not None:
            artifacts = _artifacts(run, wanted.pipeline_ref.name)
            selected &= np.isin(documents["artifact"].to_numpy()[left], artifacts)
        found.append(ValidationUses(wanted.name, _uses(run.spec, left[selected], lengths)))
        left = left[~selected]
    if len(left):
        found.append(ValidationUses(OTHER_SET, _uses(run.spec, left, lengths)))
    return found


def _artifacts(run: DatasetRun, pipeline: str) -> list[int]:
    """Return the artifacts of the parts of the mixture that come from a pipeline."""
    parts = zip(run.spec.mixture, open_inputs(run).part_artifact, strict=True)
    return [artifact for part, artifact in parts if part.pipeline_ref.name == pipeline]


def _uses(spec: TokenDatasetSpec, held_out: Numbers, lengths: Numbers) -> npt.NDArray[Any]:
    """Return the uses of one set: whole sequences, at most `maxTokens`."""
    length = spec.sequence_length
    uses = np.zeros(len(held_out), USE)
    uses["document"], uses["part"], uses["tokens"] = held_out, -1, lengths[held_out]
    max_sequences = max(1, spec.validation.max_tokens // length)
    sequences = min(validation_sequences(uses, length), max_sequences)
    if sequences < 1:
        return uses[:0]
    ends = np.cumsum(uses["tokens"])
    return uses[: int(np.searchsorted(ends, stream_tokens(sequences, length))) + 1]


def set_warnings(sets: list[ValidationUses]) -> list[str]:
    """Return a warning for each named set that holds no sequence."""
    return [
        f"validation set {one.name}: the held-out documents do not fill one sequence; raise "
        "validation.fraction, or correct its where"
        for one in sets
        if one.name and not len(one.uses)
    ]


@dataclass(frozen=True)
class HeldOutText:
    """The validation sets in the artifact."""

    files: list[ArtifactFile]
    entries: list[dict[str, Any]]
    """What `blocks.json` says of each: beside its sequences, its name, the bytes of text that the
    labels stand for which count, and whether there is a mask."""


def write_validation(
    run: DatasetRun,
    tokenizer: TokenizerSummary,
    folder: Folder,
    plan: StreamPlan,
    sets: list[ValidationUses],
) -> HeldOutText:
    """Write the sequences of the validation sets that are not empty."""
    text, filled = HeldOutText([], []), [one for one in sets if len(one.uses)]
    if not filled:
        return text
    length = run.spec.sequence_length
    names, dtype = DatasetFiles(run.tasks), token_type(tokenizer.vocabulary_size)
    table = piece_bytes(open_artifact(run.tokenizer), tokenizer)
    has_mask = bool(plan.prompts.any())
    with open_tokens(folder, names, plan, dtype) as tokens:
        for one in filled:
            path, sequences = validation(len(text.entries)), validation_sequences(one.uses, length)
            end = stream_tokens(sequences, length)
            section = cut(tokens, one.uses, 0, end, tokenizer.end_of_document)
            counted = cut_counted(plan.prompts, one.uses, 0, end)
            sizes = table[section[0]]
            entry = sequences_entry(path, sequences, length)
            # The first token is only read.
            entry |= {"bytes": int(sizes[1:][counted[1:]].sum())}
            entry |= {"name": one.name} if one.name else {}
            entry |= {"mask": True} if has_mask else {}
            text.entries.append(entry)
            text.files.extend(publish_block(folder, path, section, counted if has_mask else None))
    return text
