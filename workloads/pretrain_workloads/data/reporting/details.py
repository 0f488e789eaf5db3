"""Put `report.json` together: counts, and examples of what was dropped."""

from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc

from pretrain_api.v1alpha1.pipeline.summary import PipelineSummary
from pretrain_workloads.data.reporting.summary import add_counts, read_by_language
from pretrain_workloads.data.rules.rejects import merge_samples
from pretrain_workloads.data.scrub.scrubber import merge_samples as merge_scrub_samples
from pretrain_workloads.data.shards import read_columns
from pretrain_workloads.storage import Folder

_EXAMPLE_CHARACTERS = 300
"""Characters of a duplicate in the report."""

type Texts = dict[int, tuple[str, str]]
"""(id, start of the text) by the number of a document."""


def report_details(
    summary: PipelineSummary,
    prepared: list[dict[str, Any]],
    decided: dict[str, Any],
    duplicates: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return the content of `report.json`, which depends neither on the time nor on the tasks.

    Args:
        summary: Summary of the artifact.
        prepared: Results of all tasks of `prepare`.
        decided: Result of `decide`.
        duplicates: Examples of near-duplicates (`duplicate_examples`).
    """
    return {
        "summary": summary.model_dump(by_alias=True),
        "readByLanguage": {
            measure: dict(read_by_language(prepared, measure).most_common())
            for measure in ("documents", "characters", "bytes")
        },
        "quarantined": dict(sorted(add_counts(prepared, "quarantined").items())),
        "firstUnreadable": [bad for task in prepared for bad in task["first_bad"]][:1],
        "rejects": merge_samples([task["samples"] for task in prepared]),
        "scrubSamples": merge_scrub_samples([task["scrubSamples"] for task in prepared]),
        "curve": decided["curve"],
        "similarity": decided["similarity"],
        "clusterSizes": decided["sizes"],
        "duplicates": duplicates,
    }


def duplicate_examples(
    folder: Folder, shards: Sequence[str], pairs: list[tuple[int, int, float]]
) -> list[dict[str, Any]]:
    """Return near-duplicates with their texts.

    Args:
        folder: Folder of the artifact.
        shards: Paths of the prepared shards, in the order that documents are numbered in.
        pairs: (kept document, dropped document, similarity).
    """
    numbers = sorted({number for kept, dropped, _ in pairs for number in (kept, dropped)})
    texts = _texts(folder, shards, numbers) if numbers else {}
    return [
        {
            "similarity": round(similarity, 3),
            "kept": dict(zip(("id", "text"), texts[kept], strict=True)),
            "dropped": dict(zip(("id", "text"), texts[dropped], strict=True)),
        }
        for kept, dropped, similarity in pairs
    ]


def _texts(folder: Folder, shards: Sequence[str], numbers: list[int]) -> Texts:
    texts: Texts = {}
    start = 0
    for path in shards:
        rows = read_columns(folder, path, ("id",)).num_rows
        in_shard = [number for number in numbers if start <= number < start + rows]
        if in_shard:
            table = read_columns(folder, path, ("id", "text"))
            for number in in_shard:
                row = table.slice(number - start, 1)
                text = pc.utf8_slice_codeunits(row["text"], 0, _EXAMPLE_CHARACTERS)[0].as_py()
                texts[number] = (row["id"][0].as_py(), text)
        start += rows
    return texts
