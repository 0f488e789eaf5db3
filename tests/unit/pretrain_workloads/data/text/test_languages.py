import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches import points_of
from data_runs import code, english, poems
from pretrain_workloads.data.text.code_model import code_scores
from pretrain_workloads.data.text.languages import (
    HAN,
    HANGUL,
    KANA,
    LETTERS,
    detect_all,
    script_counts,
)


def detect(text: str) -> tuple[str, float]:
    languages, scores = detect_all([text], *points_of([text]))
    return languages[0], float(scores[0])


def test_poems_are_chinese() -> None:
    detected = [detect(record["text"]) for record in poems()]
    assert {language for language, _ in detected} == {"zh"}
    assert min(score for _, score in detected) > 0.7


def test_manual_pages_are_english_though_they_are_full_of_listings() -> None:
    languages = [detect(record["text"])[0] for record in english(70)]
    assert languages.count("en") == 70


def test_modules_are_code_though_half_of_them_is_docstrings() -> None:
    languages = [detect(record["text"])[0] for record in code(80)]
    assert languages.count("code") == 80


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("これは日本語の文章です。漢字とかなが混ざっています。", "ja"),
        ("이것은 한국어 문장입니다. 잘 부탁드립니다.", "ko"),
        ("Dies ist ein deutscher Satz, der recht lang ist und viele Wörter enthält.", "de"),
        ("Python 是一种解释型语言，由 Guido van Rossum 创造，第一版发布于 1991 年。", "zh"),
        ("Cette phrase est écrite en français, et elle est assez longue pour le dire.", "fr"),
        ("func main() {\n\tfmt.Println(len(os.Args))\n\tos.Exit(1)\n}\n", "code"),
        ('#!/bin/sh\nset -eu\nfor f in *.txt; do\n  wc -l "$f"\ndone\n', "code"),
    ],
)
def test_other_languages_are_told_apart(text: str, want: str) -> None:
    assert detect(text)[0] == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("two", "und"),
        ("", "und"),
        ("12:30", "und"),
        ("床前明月光", "zh"),
        ("はい", "ja"),
        ("네", "ko"),
    ],
)
def test_the_language_of_a_few_characters_is_undetermined_unless_the_script_tells(
    text: str, want: str
) -> None:
    language, score = detect(text)
    assert language == want
    assert (score == 0) == (want == "und")


@given(st.text(max_size=60))
def test_every_text_has_a_language_and_a_score(text: str) -> None:
    language, score = detect(text)
    assert language.isalpha()
    assert language.islower()
    assert 0 <= score <= 1


@given(st.lists(st.text(max_size=30), max_size=8))
def test_a_text_is_judged_alone_whatever_stands_beside_it(texts: list[str]) -> None:
    points, offsets = points_of(texts)
    together = code_scores(points, offsets)
    alone = [code_scores(*points_of([text]))[0] for text in texts]
    assert together.tolist() == alone
    assert detect_all(texts, points, offsets)[0] == [detect(text)[0] for text in texts]


@given(st.text(st.sampled_from("aZ9 é床あ가\n🙂"), max_size=40))
def test_scripts_are_counted_as_defined(text: str) -> None:
    (row,) = script_counts(*points_of([text]))
    assert row[HAN] == text.count("床")
    assert row[KANA] == text.count("あ")
    assert row[HANGUL] == text.count("가")
    assert row[LETTERS] == sum(map(str.isalpha, text))


def test_a_long_text_is_judged_by_samples_of_all_of_it() -> None:
    licence = "This program is free software; you can redistribute it and modify it.\n" * 40
    body = "static int probe(struct device *dev)\n{\n\treturn -ENODEV;\n}\n" * 200
    assert detect(licence + body)[0] == "code"
    assert np.sign(code_scores(*points_of([licence]))[0]) == -1
