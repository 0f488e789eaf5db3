"""Drop documents by their lines: their length, their bullets, and how they end."""

import re
from collections.abc import Iterator

from pretrain_api.v1alpha1.pipeline.rules import LinesRule
from pretrain_workloads.data.batch import Batch

_BULLET = re.compile(r"\s*(?:[-*+•●▪○■◆·‣⁃>|»]|\d{1,3}[.)、])\s*\S")
_MIN_LINES = 4
"""Lines below which no share of them is measured: a review of one line may start with a dash."""

_ELLIPSIS = ("...", "…", "[more]", "展开全文", "查看更多")
_PUNCTUATION = tuple(".!?:;,\"')]}”’。！？：；，、）】》」』…")


def drop_reasons(rule: LinesRule, batch: Batch) -> list[str]:
    """Return for each document the first limit that its lines exceed."""
    return [next(_excesses(rule, text), "") for text in batch.texts]


def _excesses(rule: LinesRule, text: str) -> Iterator[str]:
    """Yield each limit that the lines of a text exceed, in words."""
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    if not lines:
        return
    mean, longest = sum(map(len, lines)) / len(lines), max(map(len, lines))
    if rule.max_mean_characters is not None and mean > rule.max_mean_characters:
        yield f"{mean:.0f} characters in a line on average, more than {rule.max_mean_characters}"
    if rule.max_characters is not None and longest > rule.max_characters:
        yield f"a line of {longest} characters, more than {rule.max_characters}"
    if len(lines) >= _MIN_LINES:
        yield from _share_excesses(rule, [line.rstrip() for line in lines])


def _share_excesses(rule: LinesRule, lines: list[str]) -> Iterator[str]:
    most = (
        (rule.max_bullet_fraction, "have bullets", lambda line: bool(_BULLET.match(line))),
        (rule.max_ellipsis_fraction, "end with an ellipsis", lambda line: line.endswith(_ELLIPSIS)),
    )
    for limit, what, holds in most:
        if limit is not None and (share := sum(map(holds, lines)) / len(lines)) > limit:
            yield f"{share:.2f} of the lines {what}, more than {limit}"
    if rule.min_punctuated_fraction is not None:
        share = sum(line.endswith(_PUNCTUATION) for line in lines) / len(lines)
        if share < rule.min_punctuated_fraction:
            limit = rule.min_punctuated_fraction
            yield f"{share:.2f} of the lines end with punctuation, fewer than {limit}"
