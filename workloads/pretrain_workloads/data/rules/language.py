"""Drop documents in unwanted languages, or whose language is uncertain."""

from pretrain_api.v1alpha1.pipeline.rules import LanguageIdRule
from pretrain_workloads.data.batch import Batch


def drop_reasons(rule: LanguageIdRule, batch: Batch) -> list[str]:
    """Return for each document why its detected language is not accepted."""
    detected = zip(batch.languages, batch.scores.tolist(), strict=True)
    return [_reason(rule, language, score) for language, score in detected]


def _reason(rule: LanguageIdRule, language: str, score: float) -> str:
    if rule.keep and language not in rule.keep:
        return f"language {language}, not {', '.join(rule.keep)}"
    if score < rule.min_score:
        return f"language {language} with score {score:.2f}, less than {rule.min_score}"
    return ""
