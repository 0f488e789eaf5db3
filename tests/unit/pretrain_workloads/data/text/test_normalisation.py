import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.data.text.normalisation import normalise


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("e\u0301", "é"),
        ("\ufeffa\x00b\x07", "ab"),
        ("\tx  = 1 \n\n\n", "\tx  = 1 \n\n\n"),
        ("ＡＢＣ，１２３", "ＡＢＣ，１２３"),
        ("a\u2028b\x85c", "a\nb\nc"),
    ],
)
def test_normalising_keeps_layout_and_width(text: str, want: str) -> None:
    assert normalise(text) == want


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once or normalise(normalise(once)) == normalise(once)
    assert unicodedata.is_normalized("NFC", once) or normalise(once) != once
