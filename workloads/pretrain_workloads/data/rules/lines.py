"""Drop documents by their lines: their length, their bullets, and how they end."""

import re
from collections.abc import Iterator

from pretrain_api.v1alpha1.pipeline.rules import LinesRule
from pretrain_workloads.data.batch import Batch

_BULLET = re.compile(r"\s*(?:[-*+•●▪○■◆·‣⁃>]|\d{1,3}[.)、])\s*\S")
_ELLIPSIS = ("...", "…", "[more]", "展开全文", "查看更多")
_PUNCTUATION = tuple(".!?:;,\"')]}”’。！？：；，、）】》」』…")


def drop_reasons(rule: LinesRule, batch: Batch) -> list[str]:
    """Return for each document the first limit that its lines exceed."""
    return [next(_excesses(rule, text), "") for text in batch.texts]


def _excesses(rule: LinesRule, text: str) -> Iterator[str]:
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    if not lines:
        return
    mean, longest = sum(map(len, lines)) / len(lines), max(map(len, lines))
    if rule.max_mean_characters is not None and mean > rule.max_mean_characters:
        yield f"{mean:.0f} characters in a line on average, more than {rule.max_mean_characters}"
    if rule.max_characters is not None and longest > rule.max_characters:
        yield f"a line of {longest} characters, more than {rule.max_characters}"
    if rule.max_bullet_fraction is not None:
        share = sum(map(bool, map(_BULLET.match, lines))) / len(lines)
        if share > rule.max_bullet_fraction:
            yield f"{share:.2f} of the lines have bullets, more than {rule.max_bullet_fraction}"
    if rule.max_ellipsis_fraction is not None:
        share = sum(line.rstrip().endswith(_ELLIPSIS) for line in lines) / len(lines)
        if share > rule.max_ellipsis_fraction:
            limit = rule.max_ellipsis_fraction
            yield f"{share:.2f} of the lines end with an ellipsis, more than {limit}"
    if rule.min_punctuated_fraction is not None:
        share = sum(line.rstrip().endswith(_PUNCTUATION) for line in lines) / len(lines)
        if share < rule.min_punctuated_fraction:
            limit = rule.min_punctuated_fraction
            yield f"{share:.2f} of the lines end with punctuation, fewer than {limit}"
