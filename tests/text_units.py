"""Plain Python reference of the units of text, and texts to compare the compiled kernels on."""

import re
import unicodedata

from hypothesis import strategies as st

OWN = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
words = st.sampled_from(["the", "The", "cat", "12", "345", "床", "前", "é", "x1", "\n", "。", "  "])
texts = st.lists(words, max_size=90).map(" ".join) | st.text(max_size=40)


def units(text: str) -> list[str]:
    """Return runs of letters and digits, and Han and kana one by one."""
    result: list[str] = []
    run = ""
    for character in text + "\n":
        own = bool(OWN.match(character))
        if not own and is_word(character):
            run += character
            continue
        if run:
            result.append(run)
        run = ""
        if own:
            result.append(character)
    return result


def is_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def simple(text: str) -> str:
    """Return the characters whose class needs no table: the reference knows only these."""
    return "".join(c for c in text if ord(c) < 0x3000 or 0x4E00 <= ord(c) < 0x9000)
