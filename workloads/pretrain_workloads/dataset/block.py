"""`block`: each task writes some blocks of the planned stream."""

from typing import Any

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import DatasetRun
from pretrain_api.v1alpha1.tokendataset import DatasetSummary
from pretrain_workloads.dataset.files import DatasetFiles, block
from pretrain_workloads.dataset.inputs import tokenizer_summary
from pretrain_workloads.dataset.lengths import block_sequences, stream_tokens
from pretrain_workloads.dataset.plan import read_plan
from pretrain_workloads.dataset.streams import cut, cut_counted, open_tokens, publish_block
from pretrain_workloads.indexed_blocks import token_type
from pretrain_workloads.storage import Folder, open_output


def write_blocks(run: DatasetRun, rank: int) -> ExitReport:
    """Write every block whose number modulo the number of tasks is `rank`, unless that is done."""
    folder, names = open_output(run), DatasetFiles(run.tasks)
    if not folder.exists(names.written(rank)):
        summary = DatasetSummary.model_validate(folder.read_json(names.composed)["summary"])
        numbers = range(rank, summary.blocks, run.tasks)
        done = _write(run, folder, names, summary, numbers)
        folder.write_json(names.written(rank), done)
    entries = folder.read_json(names.written(rank))["blocks"]
    counts = {"blocks": len(entries), "sequences": sum(entry["sequences"] for entry in entries)}
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)


def _write(
    run: DatasetRun, folder: Folder, names: DatasetFiles, summary: DatasetSummary, numbers: range
) -> dict[str, Any]:
    """Write the blocks of `numbers`; return their entries and files."""
    tokenizer = tokenizer_summary(run)
    dtype = token_type(tokenizer.vocabulary_size)
    per_block, length = block_sequences(run.spec), run.spec.sequence_length
    plan = read_plan(folder, names.plan)
    has_mask = bool(plan.prompts.any())
    entries, files = [], []
    with open_tokens(folder, names, plan, dtype) as tokens:
        for number in numbers:
            first = number * per_block
            sequences = min(per_block, summary.sequences - first)
            start = first * length
            end = start + stream_tokens(sequences, length)
            section = cut(tokens, plan.uses, start, end, tokenizer.end_of_document)
            counted = cut_counted(plan.prompts, plan.uses, start, end) if has_mask else None
            files += publish_block(folder, block(number), section, counted)
            entry = sequences_entry(block(number), sequences, length)
            entries.append(entry | {"mask": True} if has_mask else entry)
    return {"blocks": entries, "files": [file.model_dump(by_alias=True) for file in files]}


def sequences_entry(path: str, sequences: int, length: int) -> dict[str, Any]:
    """Return how `blocks.json` describes the pair of files at `path`."""
    return {"path": path, "sequences": sequences, "tokens": sequences * length}
