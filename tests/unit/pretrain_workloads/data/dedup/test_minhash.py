"""The MinHash kernel against plain Python that says what it should compute."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batches import points_of
from pretrain_workloads.data.dedup import minhash
from pretrain_workloads.data.dedup.pairs import similarities
from text_units import simple, texts, units


def folded(unit: str, collapse_digits: bool) -> str:
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in unit)
    if not collapse_digits:
        return lowered
    digits = "".join("0" if unicodedata.category(c) == "Nd" else c for c in lowered)
    return re.sub("0+", "0", digits)


def shingles(text: str, collapse_digits: bool = False) -> set[tuple[str, ...]]:
    words = [folded(unit, collapse_digits) for unit in units(text)]
    width = min(minhash.NGRAM, len(words))
    return {tuple(words[i : i + width]) for i in range(len(words) - width + 1)} if words else set()


@settings(deadline=None)
@given(texts.map(simple), texts.map(simple), st.booleans())
def test_equal_shingles_give_equal_signatures(left: str, right: str, collapse: bool) -> None:
    a, b = minhash.signatures(*points_of([left, right]), collapse)
    assert (a == b).all() == (shingles(left, collapse) == shingles(right, collapse))


def test_sums_differ_in_their_digits_unless_digits_are_collapsed() -> None:
    sums = [f"What is {a} + {b}? It is {a + b}." for a in range(30) for b in range(30)]
    points, offsets = points_of(sums)
    assert len(np.unique(minhash.signatures(points, offsets), axis=0)) == len(sums)
    assert len(np.unique(minhash.signatures(points, offsets, True), axis=0)) == 1


def test_a_signature_does_not_depend_on_its_batch() -> None:
    some = ["one two three four five six", "", "床前明月光，疑是地上霜。", "x"]
    together = minhash.signatures(*points_of(some))
    alone = np.concatenate([minhash.signatures(*points_of([text])) for text in some])
    assert (together == alone).all()


def test_long_texts_use_all_values_of_a_minimum() -> None:
    rng = np.random.default_rng(0)
    text = " ".join(map(str, rng.integers(0, 10**9, 200_000)))
    row = minhash.signatures(*points_of([text]))[0]
    assert len(np.unique(row)) > 100, "the upper bits of their minima are all 0"


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
        estimate = similarities(
            minhash.signatures(*points_of([left])), minhash.signatures(*points_of([right]))
        )[0]
        assert estimate == pytest.approx(len(a & b) / len(a | b), abs=0.13)


def test_a_document_without_units_has_no_signature() -> None:
    empty = minhash.signatures(*points_of(["…!?\n", ""]))
    assert (empty == minhash.EMPTY).all()
