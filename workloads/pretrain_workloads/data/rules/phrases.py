"""Drop documents by phrases, links and regular expressions that occur in them."""

from functools import lru_cache
from typing import Any

from pretrain_api.v1alpha1.pipeline.rules import PhrasesRule, RegexRule, UrlsRule
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.failures import UserError

_URL_STARTS = ("http://", "https://", "www.")


def urls_drop_reasons(rule: UrlsRule, batch: Batch) -> list[str]:
    """Return for each document why it has too many URLs."""
    limit = rule.max_per_thousand_characters
    return [_density(_urls(text), text, limit, "URLs") for text in batch.texts]


def phrases_drop_reasons(rule: PhrasesRule, batch: Batch) -> list[str]:
    """Return for each document why it has too many of the phrases."""
    return [_phrases(rule, text) for text in batch.texts]


def regex_drop_reasons(rule: RegexRule, batch: Batch) -> list[str]:
    """Return for each document why its text matches, or does not match.

    Raises:
        UserError: If Hyperscan does not take the expression.
    """
    contents = [text.encode() for text in batch.texts]
    reasons = [""] * len(contents)
    if rule.drop is not None:
        for row in _matching(rule.drop, contents):
            reasons[row] = f"matches {rule.drop}"
    if rule.require is not None:
        required = set(_matching(rule.require, contents))
        for row, reason in enumerate(reasons):
            reasons[row] = reason or ("" if row in required else f"does not match {rule.require}")
    return reasons


def _urls(text: str) -> int:
    both = text.count("http://www.") + text.count("https://www.")
    return sum(map(text.count, _URL_STARTS)) - both


def _density(count: int, text: str, limit: float, what: str) -> str:
    density = 1000 * count / max(1, len(text))
    if density <= limit:
        return ""
    return f"{density:.1f} {what} in 1,000 characters, more than {limit:g}"


def _phrases(rule: PhrasesRule, text: str) -> str:
    counts = {phrase: text.count(phrase) for phrase in rule.drop if phrase in text}
    if not counts:
        return ""
    most = max(counts, key=lambda phrase: counts[phrase])
    limit = rule.max_per_thousand_characters
    return _density(sum(counts.values()), text, limit, f"of the phrases (most: {most})")


def _matching(expression: str, contents: list[bytes]) -> list[int]:
    """Return the places of the contents in which an expression matches."""
    database = _compiled(expression)
    return [row for row, content in enumerate(contents) if _is_match(database, content)]


def _is_match(database: Any, content: bytes) -> bool:
    found: list[int] = []
    database.scan(content, match_event_handler=lambda number, *_: found.append(number))
    return bool(found)


@lru_cache(maxsize=256)
def _compiled(expression: str) -> Any:
    import hyperscan

    flags = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_SINGLEMATCH
    database = hyperscan.Database()
    try:
        database.compile(expressions=[expression.encode()], flags=[flags], ids=[0])
    except hyperscan.error as error:
        raise UserError(
            f"spec.rules: the regular expression {expression!r} cannot be used ({error}); write it "
            "without back-references and look-around"
        ) from error
    return database
