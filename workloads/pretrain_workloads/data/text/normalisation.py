"""Normalise text: one form for equal text, without losing meaning."""

import re
import unicodedata

_NEWLINE = re.compile("\r\n?|\x85|\u2028|\u2029")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
_CHANGED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What `_NEWLINE` and `_CONTROL` replace."""


def normalise(text: str) -> str:
    """Return `text` in Unicode form NFC, with `\\n` as line end and without control characters.

    Spaces, tabs, letter case and full-width forms do not change.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if _CHANGED.search(text):
        text = _CONTROL.sub("", _NEWLINE.sub("\n", text))
    return text


def normalise_all(texts: list[str]) -> list[str]:
    """Return each text normalised; the same list if that changes none.

    Most batches are normalised already, which one look at all texts together can tell.
    """
    joined = "\n".join(texts)  # no character composes with a line end
    if _CHANGED.search(joined) is None and (
        joined.isascii() or unicodedata.is_normalized("NFC", joined)
    ):
        return texts
    return [normalise(text) for text in texts]
