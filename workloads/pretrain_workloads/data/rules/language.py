"""Drop documents in unwanted languages, or whose language is uncertain."""

from collections.abc import Sequence

from datatrove.data import Document

from pretrain_api.v1alpha1.datapipeline import LanguageIdRule


def drop_reasons(rule: LanguageIdRule, documents: Sequence[Document]) -> list[str]:
    """Return for each document why its detected language is not accepted."""
    return [
        _reason(rule, document.metadata["language"], document.metadata["score"])
        for document in documents
    ]


def _reason(rule: LanguageIdRule, language: str, score: float) -> str:
    if rule.keep and language not in rule.keep:
        return f"language {language}, not {', '.join(rule.keep)}"
    if score < rule.min_score:
        return f"language {language} with score {score:.2f}, less than {rule.min_score}"
    return ""
