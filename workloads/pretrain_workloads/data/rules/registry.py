"""The registry of rules: for each kind of rule in the API, the function that applies it."""

from collections.abc import Callable
from typing import Any

from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.data.rules import language, length, repetition

type DropReasons = Callable[[Any, Batch], list[str]]
"""Takes the settings of a rule and a batch of documents. Returns for each document why it is
dropped, in words with the measured value and the limit, or an empty string if it stays."""

RULES: dict[str, DropReasons] = {
    "length": length.drop_reasons,
    "language_id": language.drop_reasons,
    "repetition": repetition.drop_reasons,
}
"""The function of each kind of rule, by its field in `DataRule`."""


def drop_reasons(rule: DataRule, batch: Batch) -> list[str]:
    """Return for each document why `rule` drops it; empty for those that stay."""
    for field, function in RULES.items():
        settings = getattr(rule, field)
        if settings is not None:
            return function(settings, batch)
    raise NotImplementedError(f"rule {rule.kind} is missing in RULES")


def rule_key(position: int, rule: DataRule) -> str:
    """Return the name of a rule in counts: its position in the spec from 1, and its kind."""
    return f"{position}-{rule.kind}"
