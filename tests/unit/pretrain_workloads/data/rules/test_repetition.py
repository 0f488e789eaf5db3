"""The repetition kernel against plain Python that says what it should compute."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from batches import points_of
from data_runs import code, english, poems
from pretrain_api.v1alpha1.pipeline.rules import RepetitionRule
from pretrain_workloads.data.rules import repetition
from pretrain_workloads.data.rules.repetition_kernel import COLUMNS, measure
from text_units import is_word, simple, texts, units


def reference_shares(text: str) -> list[float]:
    """Return what `repetition_kernel.measure` returns, by the definitions."""
    out = [0.0] * COLUMNS
    lines = ["".join(c for c in line if ord(c) > 32) for line in text.split("\n")]
    sizes = [sum(1 for c in line if is_word(c)) for line in lines]
    counted = [(line, size) for line, size in zip(lines, sizes, strict=True) if size]
    if len(counted) >= 4:
        seen: set[str] = set()
        repeats = [(line, size) for line, size in counted if line in seen or seen.add(line)]  # type: ignore[func-returns-value]
        out[0] = len(repeats) / len(counted)
        out[1] = sum(size for _, size in repeats) / sum(size for _, size in counted)
    words = units(text)
    if len(words) < 40:
        return out
    total = sum(map(len, words))
    for n in range(2, 11):
        if n <= 4 and len(words) < 200:
            continue
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
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
    assert measure(*points_of([text]))[0].tolist() == pytest.approx(reference_shares(text))


def test_repetition_does_not_depend_on_the_batch() -> None:
    some = ["a b c\n" * 30, "", "one two three " * 20, "床前明月光\n" * 9]
    together = measure(*points_of(some))
    assert (together == np.concatenate([measure(*points_of([text])) for text in some])).all()


def test_limits_of_a_rule_replace_the_defaults() -> None:
    rule = RepetitionRule(max_top_ngram_character_fraction=0.5)
    limits = repetition.limits_for(rule, "en")
    assert limits.top == (0.5, 0.5, 0.5)
    assert limits.duplicated == repetition.limits_for(RepetitionRule(), "de").duplicated


def test_limits_grow_with_the_length_of_a_document_unless_the_rule_sets_them() -> None:
    shares = np.full((3, COLUMNS), 0.45)
    lengths = np.array([500, 20_000, 10**7])
    default = repetition.limits_for(RepetitionRule(max_top_ngram_character_fraction=1.0), "en")
    reasons = repetition.excesses(shares, [default] * 3, lengths)
    assert [bool(reason) for reason in reasons] == [True, False, False]
    fixed = RepetitionRule(max_duplicate_ngram_character_fraction=0.4)
    limits = [repetition.limits_for(fixed, "en")] * 3
    assert all(repetition.excesses(shares, limits, lengths)), "0.45 is more at any length"


def test_chinese_and_code_have_their_own_limits() -> None:
    english, *others = (repetition.limits_for(RepetitionRule(), n) for n in ("en", "zh", "code"))
    for loose in others:
        assert all(a <= b for a, b in zip(english.columns, loose.columns, strict=True))


def test_an_excess_is_described_in_words() -> None:
    shares = measure(*points_of(["buy now " * 60, "all is well"]))
    limits = [repetition.limits_for(RepetitionRule(), "en")] * 2
    reasons = repetition.excesses(shares, limits, np.array([480, 11]))
    assert reasons[0].endswith("more than 0.46")
    assert reasons[1] == ""


def test_poems_manuals_and_code_are_not_repetition() -> None:
    for language, records in (("zh", poems()), ("en", english(40)), ("code", code(60))):
        limits = [repetition.limits_for(RepetitionRule(), language)] * len(records)
        texts = [record["text"] for record in records]
        lengths = np.array([len(text) for text in texts])
        shares = measure(*points_of(texts))
        dropped = [reason for reason in repetition.excesses(shares, limits, lengths) if reason]
        assert dropped == []
