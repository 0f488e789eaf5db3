"""Rules for source code: drop files that programs wrote or that hold little text; cut licences."""

import re
from collections.abc import Iterator

from pretrain_api.v1alpha1.pipeline.rules import CodeRule
from pretrain_workloads.data.batch import Batch

_FIRST_LINES = 5
"""Lines in which a generator says that it wrote a file."""

_GENERATED = re.compile(
    r"auto-?generated|automatically generated|generated automatically|@generated"
    r"|(?:this|the following) (?:file|code) (?:is|was) generated|do not (?:edit|modify)"
    r"|自动生成|请勿(?:修改|编辑)",
    re.IGNORECASE,
)
"""Phrases of generators. Source of the English ones: Li et al. 2023 (StarCoder, arXiv 2305.06161),
appendix on filters, and the conventions of Go's and Meta's tools.
"""

_OTHER = re.compile(r"[\W_]+")

# A line of C's preprocessor, or of a shell that must come first, is no comment.
_LINE_COMMENT = re.compile(r"[ \t]*(?:#(?!!|include\b|define\b|if)|//|--|;|%)[^\n]*(?:\n|\Z)")
_BLOCK_COMMENT = re.compile(r"[ \t]*(?:/\*.*?\*/|<!--.*?-->)[ \t]*(?:\n|\Z)", re.DOTALL)
_FIRST = re.compile(r"(?:#![^\n]*\n)?(?:[ \t]*#[^\n]*coding[:=][^\n]*\n)?(?:<\?php[ \t]*\n)?")
_BLANK = re.compile(r"\s*")
_LICENCE = re.compile(r"licen[cs]e|copyright|©|版权|许可", re.IGNORECASE)


def clean_code(rule: CodeRule, batch: Batch) -> tuple[list[str], list[str]]:
    """Return the texts without licences, if the rule cuts them, and why each is dropped."""
    reasons = [next(_problems(rule, text), "") for text in batch.texts]
    if not rule.cut_licence:
        return batch.texts, reasons
    return [without_licence(text) for text in batch.texts], reasons


def without_licence(text: str) -> str:
    """Return a source file without its first comment, if that is about copyright."""
    first = _FIRST.match(text)
    start = first.end() if first else 0
    end = _end_of_comment(text, start)
    if end == start or not _LICENCE.search(text, start, end):
        return text
    rest = text[end:].lstrip("\n")
    return text[:start] + rest if rest.strip() else text


def _end_of_comment(text: str, start: int) -> int:
    """Return where the comment at `start` ends; `start` itself if there is none."""
    blank = _BLANK.match(text, start)
    place = blank.end() if blank else start
    if block := _BLOCK_COMMENT.match(text, place):
        return block.end()
    end = place
    while line := _LINE_COMMENT.match(text, end):
        end = line.end()
    return end if end > place else start


def _problems(rule: CodeRule, text: str) -> Iterator[str]:
    if rule.drop_generated:
        head = "\n".join(text.split("\n", _FIRST_LINES)[:_FIRST_LINES])
        if found := _GENERATED.search(head):
            yield f"says {found[0]!r} in its first {_FIRST_LINES} lines"
    if rule.min_alphanumeric_fraction and text:
        share = len(_OTHER.sub("", text)) / len(text)
        if share < rule.min_alphanumeric_fraction:
            yield (
                f"{share:.2f} of the characters are letters or digits, fewer than "
                f"{rule.min_alphanumeric_fraction:g}"
            )
