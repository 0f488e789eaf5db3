"""Drop documents that are too short or too long."""

from pretrain_api.v1alpha1.pipeline.rules import LengthRule
from pretrain_workloads.data.batch import Batch


def drop_reasons(rule: LengthRule, batch: Batch) -> list[str]:
    """Return for each document why its length is outside the limits."""
    return [_reason(rule, characters) for characters in batch.characters.tolist()]


def _reason(rule: LengthRule, characters: int) -> str:
    if characters < rule.min_characters:
        return f"{characters} characters, fewer than {rule.min_characters}"
    if rule.max_characters is not None and characters > rule.max_characters:
        return f"{characters} characters, more than {rule.max_characters}"
    return ""
