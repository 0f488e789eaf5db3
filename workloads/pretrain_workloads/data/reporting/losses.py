"""What each step removed of each language, and the warnings that follow from it."""

from collections import Counter
from typing import Any

from pretrain_workloads.data.quality_floors import QUALITY_KEY
from pretrain_workloads.data.reporting.summary import read_by_language
from pretrain_workloads.data.rules.registry import step_title

_WARN_SHARE = 0.3
"""Share of the bytes of a language, read by the pipeline, above which a step is warned about."""

_WARN_BYTES = 10_000
"""Bytes of a language below which nobody is warned: a few documents have no distribution."""

MOST_WARNINGS = 20

type Losses = dict[str, dict[str, dict[str, int]]]
"""Documents and bytes that each step removed, by step and language, in the order of the steps."""


def losses_by_step(prepared: list[dict[str, Any]], decided: dict[str, Any]) -> Losses:
    """Return what rules and deduplication removed.

    Args:
        prepared: Results of all tasks of `prepare`.
        decided: Result of `decide`.
    """
    sums: dict[str, dict[str, Counter[str]]] = {}
    steps = [task["rejectedByLanguage"] for task in prepared]
    for step, by_language in (item for task in steps for item in task.items()):
        _add(sums.setdefault(step, {}), by_language)
    if decided["dropped"]["quality"]:
        _add(sums.setdefault(QUALITY_KEY, {}), decided["dropped"]["quality"])
    ordered = sorted(sums, key=lambda step: (int(step.partition("-")[0]), step))
    for step in ("exact", "near"):
        if decided["dropped"][step]:
            _add(sums.setdefault(f"{step} duplicates", {}), decided["dropped"][step])
            ordered.append(f"{step} duplicates")
    return {step: {name: dict(sums[step][name]) for name in sorted(sums[step])} for step in ordered}


def _add(sums: dict[str, Counter[str]], by_language: dict[str, dict[str, int]]) -> None:
    for language, counts in by_language.items():
        sums.setdefault(language, Counter()).update(counts)


_CHANCE = 0.15
"""A model that is not so much better than guessing is warned about."""


def model_warnings(models: dict[str, Any]) -> list[str]:
    """Return a sentence for each model that tells its own samples hardly better than chance.

    Args:
        models: Summaries of the models that were trained, by name.
    """
    warnings = []
    for name, model in models.items():
        shares = list(model["accuracy"].values())
        mean, chance = sum(shares) / max(1, len(shares)), 1 / max(1, len(shares))
        if mean < chance + _CHANCE:
            warnings.append(
                f"the {name} model tells {mean:.0%} of its held-out samples right, and guessing "
                f"would tell {chance:.0%}: look at the samples"
            )
    return warnings


def loss_warnings(losses: Losses, prepared: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each step that removed much of a language, and for damaged files."""
    read = read_by_language(prepared, "bytes")
    warnings = []
    for step, by_language in losses.items():
        for language, counts in by_language.items():
            share = counts["bytes"] / max(1, read[language])
            if share > _WARN_SHARE and read[language] >= _WARN_BYTES:
                name = step if step.endswith("duplicates") else step_title(step)
                warnings.append(
                    f"{name} removed {share:.0%} of the bytes in {language}: look at its examples"
                )
    damaged = [file for task in prepared for file in task["damaged"]]
    if damaged:
        warnings.append(f"{len(damaged)} files are damaged, the first: {damaged[0]}")
    return warnings[:MOST_WARNINGS]
