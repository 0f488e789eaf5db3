"""Detect the language of texts: by their script, as code, or by the letters they are made of."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.text.code_model import code_scores
from pretrain_workloads.data.text.compiled import kernel
from pretrain_workloads.data.text.units import LIMIT, Offsets, Points, code_points, tables

UNDETERMINED = "und"
"""ISO 639's code for a text whose language nothing tells."""

_SHORTEST = 20
"""Characters below which only the script decides: detectors guess wildly at single words."""

_EXAMINED = 4096
"""Characters at the start of a text whose script is counted."""

_HAN_SHARE = 0.15
"""Share of Han and kana among letters from which a text is Chinese or Japanese. A Chinese word has
about 1.6 characters and an English one 5, so at this share about half of the words are Chinese."""

_KANA_SHARE = 0.1
"""Share of kana among Han and kana from which a text is Japanese."""

_HANGUL_SHARE = 0.3

_WINDOW = 1000
"""Characters at the start and in the middle of a text that the detector for all other languages
sees: more cost time and change nothing."""

HAN, KANA, HANGUL, LETTERS = range(4)
"""Columns of `script_counts`."""


def detect_all(
    texts: list[str], points: Points, offsets: Offsets
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Return the language of each text and the confidence in it, from 0 to 1.

    A language is an ISO 639-1 code, `code` for source code, or `UNDETERMINED`.

    Args:
        texts: The texts.
        points: Their code points, one after the other.
        offsets: Offset of each text in `points`, and the end.
    """
    by_script = [_by_script(row) for row in script_counts(points, offsets).tolist()]
    rest = [text for text, found in zip(texts, by_script, strict=True) if found is None]
    part = (points, offsets) if len(rest) == len(texts) else code_points(rest)
    by_letters = map(_by_letters, rest, code_scores(*part).tolist())
    found = [language or next(by_letters) for language in by_script]
    scores = np.fromiter((score for _, score in found), np.float32, len(found))
    return [language for language, _ in found], scores


def script_counts(points: Points, offsets: Offsets) -> npt.NDArray[np.int64]:
    """Return for the start of each text the number of characters by script."""
    out = np.zeros((len(offsets) - 1, 4), np.int64)
    _count_scripts(points, offsets, tables()[0], out)
    return out


def _by_script(counts: list[int]) -> tuple[str, float] | None:
    east_asian, letters = counts[HAN] + counts[KANA], counts[LETTERS]
    if east_asian and east_asian >= _HAN_SHARE * letters:
        language = "ja" if counts[KANA] >= _KANA_SHARE * east_asian else "zh"
        return language, min(1.0, 0.5 + east_asian / letters / 2)
    if counts[HANGUL] and counts[HANGUL] >= _HANGUL_SHARE * letters:
        return "ko", min(1.0, 0.5 + counts[HANGUL] / letters)
    return None


def _by_letters(text: str, code_score: float) -> tuple[str, float]:
    if len(text) < _SHORTEST:
        return UNDETERMINED, 0.0
    if code_score > 0:
        return "code", float(1 / (1 + np.exp(-code_score)))
    return _by_words(text)


def _by_words(text: str) -> tuple[str, float]:
    import pycld2

    middle = len(text) // 2
    sample = text[:_WINDOW]
    if middle > _WINDOW:
        sample += "\n" + text[middle : middle + _WINDOW]
    try:
        reliable, _, ranked = pycld2.detect(sample.encode("utf-8", "replace"), bestEffort=True)
    except pycld2.error:  # it refuses some characters that UTF-8 and Unicode allow
        return UNDETERMINED, 0.0
    _, language, percent, _ = ranked[0]
    if language == "un":
        return UNDETERMINED, 0.0
    return language.partition("-")[0], percent / 100 if reliable else percent / 200


@kernel
def _count_scripts(points: Any, offsets: Any, classes: Any, out: Any) -> Any:
    for text in range(offsets.shape[0] - 1):
        start, end = offsets[text], min(offsets[text + 1], offsets[text] + _EXAMINED)
        for i in range(start, end):
            point = points[i]
            if point < 0x80:  # most characters of code and English
                out[text, LETTERS] += 65 <= (point & 0xDF) <= 90
                continue
            if 0x3040 <= point < 0x3100:
                out[text, KANA] += 1
            elif 0x3400 <= point < 0xA000 or 0xF900 <= point < 0xFB00 or 0x20000 <= point < 0x40000:
                out[text, HAN] += 1
            elif 0xAC00 <= point < 0xD7A4:
                out[text, HANGUL] += 1
            elif point >= LIMIT or classes[point] == 0:
                continue
            out[text, LETTERS] += 1
