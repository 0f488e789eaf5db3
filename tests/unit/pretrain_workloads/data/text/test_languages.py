import pytest

from data_runs import code, english, poems
from pretrain_workloads.data.text.languages import code_share, detect


def test_poems_are_chinese() -> None:
    detected = [detect(record["text"]) for record in poems()]
    assert {language for language, _ in detected} == {"zh"}
    assert min(score for _, score in detected) > 0.7


def test_manual_pages_are_english() -> None:
    languages = [detect(record["text"])[0] for record in english(40)]
    assert languages.count("en") >= 37


def test_modules_are_code() -> None:
    languages = [detect(record["text"])[0] for record in code(60)]
    assert languages.count("code") >= 50


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
