"""The MinHash kernel against plain Python that says what it should compute."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings

from batches import points_of
from pretrain_workloads.data.dedup import minhash
from text_units import simple, texts, units


def folded(unit: str) -> str:
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in unit)
    digits = "".join("0" if unicodedata.category(c) == "Nd" else c for c in lowered)
    return re.sub("0+", "0", digits)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = [folded(unit) for unit in units(text)]
    width = min(minhash.NGRAM, len(words))
    return {tuple(words[i : i + width]) for i in range(len(words) - width + 1)} if words else set()


@settings(deadline=None)
@given(texts.map(simple), texts.map(simple))
def test_equal_shingles_give_equal_signatures(left: str, right: str) -> None:
    a, b = minhash.signatures(*points_of([left, right]))
    assert (a == b).all() == (shingles(left) == shingles(right))


def test_a_signature_does_not_depend_on_its_batch() -> None:
    some = ["one two three four five six", "", "床前明月光，疑是地上霜。", "x"]
    together = minhash.signatures(*points_of(some))
    alone = np.concatenate([minhash.signatures(*points_of([text])) for text in some])
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
        estimate = minhash.similarities(
            minhash.signatures(*points_of([left])), minhash.signatures(*points_of([right]))
        )[0]
        assert estimate == pytest.approx(len(a & b) / len(a | b), abs=0.13)


def test_a_document_without_units_has_no_signature() -> None:
    empty = minhash.signatures(*points_of(["…!?\n", ""]))
    assert (empty == minhash.EMPTY).all()
