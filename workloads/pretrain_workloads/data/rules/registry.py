"""The registry of rules: for each kind of rule in the API, the function that applies it."""

from collections.abc import Callable
from typing import Any

from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.data.rules import (
    characters,
    code,
    datatrove_block,
    language,
    length,
    lines,
    phrases,
    repetition,
)

type DropReasons = Callable[[Any, Batch], list[str]]
"""Takes the settings of a rule and a batch of documents. Returns for each document why it is
dropped, in words with the measured value and the limit, or an empty string if it stays."""

RULES: dict[str, DropReasons] = {
    "length": length.drop_reasons,
    "language_id": language.drop_reasons,
    "repetition": repetition.drop_reasons,
    "character_ratio": characters.drop_reasons,
    "urls": phrases.urls_drop_reasons,
    "phrases": phrases.phrases_drop_reasons,
    "regex": phrases.regex_drop_reasons,
    "lines": lines.drop_reasons,
}
"""The function of each kind of rule that only drops, by its field in `DataRule`."""

type RunBlock = Callable[[Any, Batch], tuple[list[str], list[str]]]
"""The same for a kind of rule that may change texts, too: returns the texts, and the reasons."""

BLOCKS: dict[str, RunBlock] = {
    "code": code.clean_code,
    "datatrove": datatrove_block.run_block,
}
"""The function of each kind of rule that may change texts."""


def apply_rule(rule: DataRule, batch: Batch) -> tuple[list[str], list[str]]:
    """Return the texts that `rule` leaves, and for each document why it drops it, or nothing."""
    for field in DataRule.kinds():
        settings = getattr(rule, field)
        if settings is None:
            continue
        if field in BLOCKS:
            return BLOCKS[field](settings, batch)
        return batch.texts, RULES[field](settings, batch)
    raise NotImplementedError(f"rule {rule.kind} is missing in RULES and BLOCKS")


SCRUB_KEY = "999-scrub"
"""Name of scrubbing in counts: it drops documents after all rules."""


def rule_key(position: int, rule: DataRule) -> str:
    """Return the name of a rule in counts: its position in the spec from 1, and its kind."""
    return f"{position}-{rule.kind}"


_LAST_RULE = 128
"""Rules that a spec may have; larger positions are those of steps after the rules."""


def step_title(key: str) -> str:
    """Return what people read for a key of counts: `rule 2-repetition`, or `quality`."""
    position, _, name = key.partition("-")
    return name if position.isdigit() and int(position) > _LAST_RULE else f"rule {key}"
