"""The MinHash kernel against plain Python that says what it should compute."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings

from pretrain_workloads.data.dedup import minhash
from text_units import simple, texts, units


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
