"""Normalise text: one form for equal text, without losing meaning."""

import re
import unicodedata

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from pretrain_workloads.data.executor import Documents

_NEWLINE = re.compile("\r\n?|\x85|\u2028|\u2029")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")


def normalise(text: str) -> str:
    """Return `text` in Unicode form NFC, with `\\n` as line end and without control characters.

    Spaces, tabs, letter case and full-width forms do not change.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if not text.isprintable():  # skips the search for most short texts
        text = _CONTROL.sub("", _NEWLINE.sub("\n", text))
    return text


class Normalise(PipelineStep):  # type: ignore[misc]
    """Normalises each document."""

    name = "normalise"
    type = "formatter"

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield all documents, normalised."""
        for document in data:
            yield _normalised(document)


def _normalised(document: Document) -> Document:
    document.text = normalise(document.text)
    return document
