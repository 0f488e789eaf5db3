"""What a reader yields: the text of a record with its id and its position in the file."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.sources.quarantine import EMPTY
from pretrain_workloads.data.text.normalisation import normalise

_LANGUAGE = re.compile("[a-z]{2,8}")
_TEXT_FIELDS = ("text", "content")
_PROMPT, _COMPLETION = "prompt", "completion"
_DOMAIN_CHARACTERS = 63


class SourceRecord(NamedTuple):
    """A readable record of a source file; it becomes a document."""

    position: str
    """Position in the file: `byte-<offset>`, `line-<number>` or `row-<number>`."""

    id: str
    """The record's own id, or an empty string."""

    text: str

    language: str = ""
    """The record's own language, or an empty string."""

    domain: str = ""
    """The record's own domain, or an empty string."""

    prompt: int = 0
    """Characters at the start of `text` that are a prompt."""


def make_record(source: Source, position: str, fields: Mapping[str, Any]) -> SourceRecord | str:
    """Return the record that `fields` hold, or why there is none.

    Args:
        source: Source of the record; it names the fields.
        position: Position in the file.
        fields: Keys or columns, and their values.
    """
    text_field = source.text_field or _text_field(fields)
    prompt_field = source.prompt_field
    if prompt_field is None and source.text_field is None and text_field == _COMPLETION:
        prompt_field = _PROMPT
    text: Any = fields.get(text_field)
    if problem := text_problem(text, text_field, fields):
        return problem
    size = 0
    if prompt_field is not None:
        prompt: Any = fields.get(prompt_field)
        if prompt != "" and (problem := text_problem(prompt, prompt_field, fields)):
            return problem
        # Normalised apart, so that the number of characters stays right.
        prompt = normalise(prompt)
        text, size = prompt + normalise(text), len(prompt)
    return SourceRecord(
        position,
        _as_text(fields.get(source.id_field)),
        text,
        _language(fields.get(source.language_field) if source.language_field else None),
        _as_text(fields.get(source.domain_field) if source.domain_field else None)[
            :_DOMAIN_CHARACTERS
        ],
        size,
    )


def used_fields(source: Source) -> list[str]:
    """Return the names of the fields that `make_record` may look at."""
    names = [source.id_field, source.prompt_field, source.language_field, source.domain_field]
    texts = [source.text_field] if source.text_field else [*_TEXT_FIELDS, _PROMPT, _COMPLETION]
    return list(dict.fromkeys(name for name in (*texts, *names) if name))


def text_problem(text: Any, field: str, fields: Mapping[str, Any]) -> str:
    """Return why a record's text is unusable, or an empty string."""
    if isinstance(text, str):
        return "" if text and not text.isspace() else f"{field}{EMPTY}"
    if field not in fields:
        names = ", ".join(sorted(map(str, fields))[:8]) or "none"
        return f"no field {field}; the fields are {names}: set textField of the source"
    return f"{field} is {'null' if text is None else type(text).__name__}, not text"


def _text_field(fields: Mapping[str, Any]) -> str:
    for name in _TEXT_FIELDS:
        if name in fields:
            return name
    return _COMPLETION if _PROMPT in fields and _COMPLETION in fields else _TEXT_FIELDS[0]


def _as_text(value: Any) -> str:
    """Return an id or a domain as text; empty if the field is absent or null."""
    return "" if value is None else str(value)


def _language(value: Any) -> str:
    language = _as_text(value).lower()
    return language if _LANGUAGE.fullmatch(language) else ""
