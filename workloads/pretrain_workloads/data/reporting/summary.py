"""Count what was read, dropped and kept: the summary in status and manifest."""

from collections import Counter
from typing import Any

import pyarrow as pa

from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_api.v1alpha1.pipeline.summary import LanguageSummary, PipelineSummary
from pretrain_workloads.data.quality_floors import QUALITY_KEY
from pretrain_workloads.data.rules.registry import rule_key


def summarise(
    rules: list[DataRule],
    models: dict[str, Any],
    prepared: list[dict[str, Any]],
    decided: dict[str, Any],
    index: pa.Table,
) -> PipelineSummary:
    """Return the summary of an artifact.

    Args:
        rules: The rules of the spec.
        models: Summaries of the models that were trained.
        prepared: Results of all tasks of `prepare`.
        decided: Result of `decide`.
        index: The index of the kept documents.
    """
    rejected = add_counts(prepared, "rejected") + Counter({QUALITY_KEY: decided["quality"]})
    keys = [rule_key(position, rule) for position, rule in enumerate(rules, 1)]
    keys += sorted(rejected.keys() - set(keys))  # quality, decontamination and scrubbing
    return PipelineSummary(
        read=sum(read_by_language(prepared, "documents").values()),
        kept=index.num_rows,
        rejected={key: rejected[key] for key in keys},
        exact_duplicates=decided["exact"],
        near_duplicates=decided["near"],
        scrubbed=dict(sorted(add_counts(prepared, "scrubbed").items())),
        quarantined=add_counts(prepared, "quarantined").total(),
        models=models,
        languages=_languages(index),
    )


def add_counts(prepared: list[dict[str, Any]], name: str) -> Counter[str]:
    """Return the sum over all tasks of the counts that the results of `prepare` hold as `name`."""
    return sum((Counter(task[name]) for task in prepared), Counter())


def read_by_language(prepared: list[dict[str, Any]], measure: str) -> Counter[str]:
    """Return what was read before any rule, by language.

    Args:
        prepared: Results of all tasks of `prepare`.
        measure: `documents`, `characters` or `bytes`.
    """
    totals: Counter[str] = Counter()
    for task in prepared:
        for language, counts in task["read"].items():
            totals[language] += counts[measure]
    return totals


def _languages(index: pa.Table) -> dict[str, LanguageSummary]:
    """Return what is kept of each language, the largest first."""
    grouped = index.group_by("language").aggregate(
        [("id", "count"), ("characters", "sum"), ("bytes", "sum")]
    )
    return {
        row["language"]: LanguageSummary(
            documents=row["id_count"], characters=row["characters_sum"], bytes=row["bytes_sum"]
        )
        for row in sorted(grouped.to_pylist(), key=lambda row: -row["bytes_sum"])
    }
