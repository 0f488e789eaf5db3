"""The compiled kernels against plain Python that says what they should compute."""

import re
import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.v1alpha1.datapipeline import RepetitionRule
from pretrain_workloads.data import minhash, repetition

OWN = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
MASK = 2**64 - 1

words = st.sampled_from(["the", "The", "cat", "12", "345", "床", "前", "é", "x1", "\n", "。", "  "])
texts = st.lists(words, max_size=90).map(" ".join) | st.text(max_size=40)


def units(text: str) -> list[str]:
    """Return runs of letters and digits, and Han and kana one by one."""
    found: list[str] = []
    run = ""
    for character in text + "\n":
        own = bool(OWN.match(character))
        if not own and is_word(character):
            run += character
            continue
        if run:
            found.append(run)
        run = ""
        if own:
            found.append(character)
    return found


def is_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def simple(text: str) -> str:
    """Return the characters whose class needs no table: the reference knows only these."""
    return "".join(c for c in text if ord(c) < 0x3000 or 0x4E00 <= ord(c) < 0x9000)


def folded(unit: str) -> str:
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in unit)
    digits = "".join("0" if unicodedata.category(c) == "Nd" else c for c in lowered)
    return re.sub("0+", "0", digits)


def shingles(text: str) -> set[tuple[str, ...]]:
    found = [folded(unit) for unit in units(text)]
    width = min(minhash.NGRAM, len(found))
    return {tuple(found[i : i + width]) for i in range(len(found) - width + 1)} if found else set()


@settings(deadline=None)
@given(texts.map(simple), texts.map(simple))
def test_equal_shingles_give_equal_signatures(left: str, right: str) -> None:
    a, b = minhash.signatures([left, right])
    assert (a == b).all() == (shingles(left) == shingles(right))


def test_a_signature_does_not_depend_on_its_batch() -> None:
    some = ["one two three four five six", "", "床前明月光，疑是地上霜。", "x"]
    together = minhash.signatures(some)
    alone = np.concatenate([minhash.signatures([text]) for text in some])
    assert (together == alone).all()


def test_the_estimate_is_near_the_true_similarity() -> None:
    letters = [
        f"{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(2000)
    ]
    for changed in (0, 5, 20, 60, 150):
        other = list(letters)
        for position in range(changed):
            other[position * 13] = "zzzz"
        left, right = " ".join(letters), " ".join(other)
        a, b = shingles(left), shingles(right)
        found = minhash.similarities(minhash.signatures([left]), minhash.signatures([right]))[0]
        assert found == pytest.approx(len(a & b) / len(a | b), abs=0.13)


def test_a_document_without_units_has_no_signature() -> None:
    empty = minhash.signatures(["…!?\n", ""])
    assert (empty == minhash.EMPTY).all()


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_bands_find_nearly_all_pairs_at_the_threshold(similarity: float) -> None:
    bands, rows = minhash.choose_bands(similarity)
    assert bands * rows <= minhash.PERMUTATIONS
    assert 1 - (1 - similarity**rows) ** bands >= 0.98 or rows == 1


def reference_shares(text: str) -> list[float]:
    """Return what `repetition.measure` returns, by the definitions."""
    out = [0.0] * repetition.COLUMNS
    lines = ["".join(c for c in line if ord(c) > 32) for line in text.split("\n")]
    sizes = [sum(1 for c in line if is_word(c)) for line in lines]
    known = [(line, size) for line, size in zip(lines, sizes, strict=True) if size]
    if len(known) >= 4:
        seen: set[str] = set()
        repeats = [(line, size) for line, size in known if line in seen or seen.add(line)]  # type: ignore[func-returns-value]
        out[0] = len(repeats) / len(known)
        out[1] = sum(size for _, size in repeats) / sum(size for _, size in known)
    found = units(text)
    if len(found) < 40:
        return out
    total = sum(map(len, found))
    for n in range(2, 11):
        grams = [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]
        out[n] = (_top(grams) if n <= 4 else _repeats(grams, n)) / total
    return out


def _top(grams: list[tuple[str, ...]]) -> int:
    counts = Counter(grams)
    most = max(counts.values())
    if most < 3:
        return 0
    return max(c * sum(map(len, gram)) for gram, c in counts.items() if c == most)


def _repeats(grams: list[tuple[str, ...]], n: int) -> int:
    seen: set[tuple[str, ...]] = set()
    covered = position = 0
    while position < len(grams):
        if grams[position] in seen:
            covered += sum(map(len, grams[position]))
            position += n
        else:
            seen.add(grams[position])
            position += 1
    return covered


@settings(deadline=None, max_examples=200)
@given(texts.map(simple))
def test_repetition_is_measured_as_defined(text: str) -> None:
    assert repetition.measure([text])[0].tolist() == pytest.approx(reference_shares(text))


def test_repetition_does_not_depend_on_the_batch() -> None:
    some = ["a b c\n" * 30, "", "one two three " * 20, "床前明月光\n" * 9]
    together = repetition.measure(some)
    assert (together == np.concatenate([repetition.measure([text]) for text in some])).all()


def test_limits_of_a_rule_replace_the_defaults() -> None:
    rule = RepetitionRule(max_top_ngram_character_fraction=0.5)
    limits = repetition.limits_for(rule, "en")
    assert limits.top == (0.5, 0.5, 0.5)
    assert limits.duplicated == repetition.limits_for(RepetitionRule(), "de").duplicated


def test_chinese_and_code_have_their_own_limits() -> None:
    bounds = [repetition.limits_for(RepetitionRule(), name).bounds for name in ("en", "zh", "code")]
    for strict, loose in pairwise(bounds):
        assert all(a <= b for a, b in zip(strict, loose, strict=True))


def test_an_excess_is_told_in_words() -> None:
    shares = repetition.measure(["buy now " * 60, "all is well"])
    limits = [repetition.limits_for(RepetitionRule(), "en")] * 2
    told = repetition.excesses(shares, limits)
    assert told[0].endswith("more than 0.20")
    assert told[1] == ""
