"""Detect the language of a text: by its script, by lines that look like code, or by py3langid."""

import re
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

_HEAD_CHARACTERS = 1200
"""Characters at the start of a text that are examined; more cost time and change nothing."""

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA = re.compile("[\u3040-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7af]")
_LETTER = re.compile(r"[^\W\d_]")

_HAN_SHARE = 0.3
"""Share of Han characters among letters from which a text is Chinese or Japanese. English words
have about five letters, so at this share most words are Chinese."""

_KANA_SHARE = 0.1
"""Share of kana among Han and kana from which a text is Japanese."""

_CODE_SHARE = 0.4
"""Share of lines that look like code from which a text is code."""

_EXAMINED_CHARACTERS = 50_000
"""Characters at the start of a text whose lines are examined for code."""

_EXAMINED_LINES = 100
"""Lines of these that are examined, about; they are spread evenly."""

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
    """Return the language of `text` (ISO 639-1, or `code`) and the confidence from 0 to 1."""
    head = text[:_HEAD_CHARACTERS]
    if not head.isascii():
        by_script = _by_script(head)
        if by_script is not None:
            return by_script
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
    """Return the share of lines that look like source code; 0 for texts of one or two lines."""
    lines = [line for line in text[:_EXAMINED_CHARACTERS].split("\n") if line.strip()]
    if len(lines) < 3:
        return 0.0
    lines = lines[:: 1 + len(lines) // _EXAMINED_LINES]  # a file may start with a long licence
    return sum(1 for line in lines if _CODE_LINE.match(line[:300])) / len(lines)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def detect_all(texts: list[str]) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Return the language of each text, and the confidence in it."""
    found = [detect(text) for text in texts]
    scores = np.fromiter((score for _, score in found), np.float32, len(found))
    return [language for language, _ in found], scores
