import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_runs import code, english, poems
from pretrain_api.v1alpha1.datapipeline import RepetitionRule
from pretrain_workloads.data.languages import code_share, detect
from pretrain_workloads.data.normalise import normalise
from pretrain_workloads.data.repetition import excesses, limits_for, measure


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


def test_poems_are_chinese() -> None:
    found = [detect(record["text"]) for record in poems()]
    assert {language for language, _ in found} == {"zh"}
    assert min(score for _, score in found) > 0.7


def test_manual_pages_are_english() -> None:
    found = [detect(record["text"])[0] for record in english(40)]
    assert found.count("en") >= 37


def test_modules_are_code() -> None:
    found = [detect(record["text"])[0] for record in code(60)]
    assert found.count("code") >= 50


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("これは日本語の文章です。漢字とかなが混ざっています。", "ja"),
        ("이것은 한국어 문장입니다. 잘 부탁드립니다.", "ko"),
        ("Dies ist ein deutscher Satz, der recht lang ist und viele Wörter enthält.", "de"),
        ("Python 是一种解释型语言，由 Guido van Rossum 创造，第一版发布于 1991 年。", "zh"),
    ],
)
def test_other_languages_are_told_apart(text: str, want: str) -> None:
    assert detect(text)[0] == want


def test_a_line_or_two_are_never_code() -> None:
    assert code_share("x = 1\ny = 2") == 0.0


def test_poems_manuals_and_code_are_not_repetition() -> None:
    for language, records in (("zh", poems()), ("en", english(40)), ("code", code(60))):
        limits = [limits_for(RepetitionRule(), language)] * len(records)
        dropped = [told for told in excesses(measure([r["text"] for r in records]), limits) if told]
        assert len(dropped) <= 0.05 * len(records) + 1, dropped
