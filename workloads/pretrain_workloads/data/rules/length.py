"""Drop documents that are too short or too long."""

from collections.abc import Sequence

from datatrove.data import Document

from pretrain_api.v1alpha1.datapipeline import LengthRule


def drop_reasons(rule: LengthRule, documents: Sequence[Document]) -> list[str]:
    """Return for each document why its length is outside the limits."""
    return [_reason(rule, len(document.text)) for document in documents]


def _reason(rule: LengthRule, characters: int) -> str:
    if characters < rule.min_characters:
        return f"{characters} characters, fewer than {rule.min_characters}"
    if rule.max_characters is not None and characters > rule.max_characters:
        return f"{characters} characters, more than {rule.max_characters}"
    return ""
