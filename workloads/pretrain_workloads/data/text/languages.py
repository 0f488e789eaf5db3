"""Which language a text is in: by its script where that decides, by its look, or by py3langid."""

import re
from functools import lru_cache
from typing import Any

from datatrove.pipeline.base import PipelineStep

from pretrain_workloads.data.executor import Documents

_LOOKED_AT = 1200
"""Characters of the start of a text that decide; more cost time and change nothing."""

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA = re.compile("[\u3040-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7af]")
_LETTER = re.compile(r"[^\W\d_]")

_HAN_SHARE = 0.3
"""Share of Han characters among letters from which a text is Chinese (or Japanese): English words
have five letters, so it means that most words are Chinese."""

_KANA_SHARE = 0.1
"""Share of kana among Han and kana from which it is Japanese."""

_CODE_SHARE = 0.4
"""Share of lines that look like code from which a text is code."""

_SPLIT, _LINES = 50_000, 100
"""Characters of a text whose lines are looked at, and about how many lines of those."""

_CODE_LINE = re.compile(
    r"^\s*(?:#include\b|#!|//|/\*|\*/|@\w|[})\]]+[;,)]*\s*$"
    r"|(?:def|class|fn|func|function|public|private|protected|static|const|let|var|struct|enum|impl"
    r"|interface|namespace|package|template|typedef|using)\s+[\w<*&:\[(]"
    r"|(?:import|from)\s+[\w.{*\"'<]+(?:\s+(?:import|as|from)\s.*|;)?\s*$"
    r"|(?:if|elif|else|for|while|switch|try|except|finally|catch|with|match|case)\b.*[:{]\s*$"
    r"|(?:return|raise|yield|throw|assert|await)\b[^.]*;?\s*$"
    r"|[\w.\[\]>\"'*&-]+(?:\s*,\s*[\w.]+)*\s*(?::\s*[\w\[\], |.]+)?\s*[-+*/|&%^:]?=(?!=)\s*\S.*$"
    r"|[\w.]+\(.*\)?[;,{:]?\s*$"
    r"|.*[;{]\s*$)"
)


def detect(text: str) -> tuple[str, float]:
    """Return the language of `text` (ISO 639-1, or `code`) and how sure that is, from 0 to 1."""
    head = text[:_LOOKED_AT]
    if not head.isascii():
        found = _by_script(head)
        if found is not None:
            return found
    share = code_share(text)
    if share >= _CODE_SHARE:
        return "code", min(1.0, 0.5 + share / 2)
    language, score = _identifier().classify(head)
    return str(language), float(score)


def _by_script(head: str) -> tuple[str, float] | None:
    han, kana, hangul = (len(p.findall(head)) for p in (_HAN, _KANA, _HANGUL))
    letters = len(_LETTER.findall(head)) or 1
    if (han + kana) / letters >= _HAN_SHARE:
        language = "ja" if kana >= _KANA_SHARE * (han + kana) else "zh"
        return language, min(1.0, 0.5 + (han + kana) / letters / 2)
    return ("ko", min(1.0, 0.5 + hangul / letters)) if hangul / letters >= _HAN_SHARE else None


def code_share(text: str) -> float:
    """Return the share of the lines of `text` that look like source code; 0 below three lines."""
    lines = [line for line in text[:_SPLIT].split("\n") if line.strip()]
    if len(lines) < 3:
        return 0.0
    lines = lines[:: 1 + len(lines) // _LINES]  # a file may start with pages of licence
    return sum(1 for line in lines if _CODE_LINE.match(line[:300])) / len(lines)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


class DetectLanguage(PipelineStep):  # type: ignore[misc]
    """Labels the documents whose source does not give the language."""

    name = "language"
    type = "annotator"

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield all documents, with `language` and `score`."""
        for document in data:
            if document.metadata["language"] is None:
                language, score = detect(document.text)
                document.metadata |= {"language": language, "score": score}
            yield document
