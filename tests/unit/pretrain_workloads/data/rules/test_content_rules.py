"""Rules about characters, links, phrases, expressions, lines, and blocks of datatrove."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches import make_batch, points_of
from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_workloads.data.rules.apply import apply_rules
from pretrain_workloads.data.rules.characters import KINDS, character_counts
from pretrain_workloads.data.rules.registry import apply_rule
from pretrain_workloads.data.rules.rejects import Rejects
from pretrain_workloads.failures import UserError

PROSE = "The committee met on Tuesday. It agreed on nothing, and adjourned."
CODE = "def f(x):\n    return x + 1\n"
MINIFIED = "var a=1;" * 500


def reasons(kind: str, settings: dict[str, Any], *texts: str) -> list[str]:
    return apply_rule(DataRule.model_validate({kind: settings}), make_batch(texts))[1]


@given(st.text(st.sampled_from("aZé9٣ 床かÀ\n\t。，!×🙂я"), max_size=60))
def test_characters_are_counted_by_their_kind(text: str) -> None:
    counts = dict(zip(KINDS, character_counts(*points_of([text]))[0].tolist(), strict=True))
    assert counts == {
        "han": text.count("床"),
        "latin": sum(map(text.count, "aZéÀ")),
        "digits": text.count("9"),
        "symbols": sum(map(text.count, "。，!×🙂")),
        "whitespace": sum(map(text.count, " \n\t")),
    }


@pytest.mark.parametrize(
    ("kind", "settings", "bad", "good", "reason"),
    [
        (
            "characterRatio",
            {"of": "han", "min": 0.3},
            PROSE,
            "床前明月光",
            "fewer than 0.3",
        ),
        (
            "characterRatio",
            {"of": "symbols", "max": 0.3},
            "=*=*=*=",
            PROSE,
            "more than 0.3",
        ),
        ("urls", {}, "see http://a.b and www.c.d", PROSE, "1,000 characters, more than 4"),
        ("phrases", {"drop": ["博彩", "casino"]}, "来博彩吧", PROSE, "(most: 博彩)"),
        (
            "phrases",
            {"drop": ["Tuesday"], "maxPerThousandCharacters": 20},
            "Tuesday " * 3,
            PROSE,
            "more than 20",
        ),
        ("regex", {"drop": r"\bcasino\d+"}, "a casino24", PROSE, r"matches \bcasino\d+"),
        ("regex", {"require": "[。.]"}, "no end", PROSE, "does not match [。.]"),
        ("lines", {"maxMeanCharacters": 200}, MINIFIED, CODE, "on average, more than 200"),
        ("lines", {"maxCharacters": 1000}, MINIFIED, PROSE, "a line of 4000 characters"),
        ("lines", {"maxBulletFraction": 0.9}, "- a\n* b\n1. c\n• d", PROSE, "have bullets"),
        ("lines", {"maxEllipsisFraction": 0.3}, "one…\ntwo...\nthree…\nfour", PROSE, "an ellipsis"),
        (
            "lines",
            {"minPunctuatedFraction": 0.5},
            "Home\nNews\n关于我们\nB",
            "好。\nYes!\nNo.\nA",
            "punctuation",
        ),
    ],
)
def test_a_rule_drops_what_it_is_for_and_says_why(
    kind: str, settings: dict[str, Any], bad: str, good: str, reason: str
) -> None:
    first, second = reasons(kind, settings, bad, good)
    assert reason in first
    assert second == ""


def test_an_expression_that_could_take_for_ever_is_refused_or_linear() -> None:
    assert reasons("regex", {"drop": "(a+)+$"}, "a" * 50_000 + "b") == [""]
    with pytest.raises(UserError, match=r"'\(a\)\\\\1' cannot be used.*without back-references"):
        reasons("regex", {"drop": r"(a)\1"}, "aa")


def test_a_filter_of_datatrove_drops_documents_with_its_reason() -> None:
    settings = {
        "step": "datatrove.pipeline.filters.RegexFilter",
        "arguments": {"regex_exp": "casino"},
    }
    first, second = reasons("datatrove", settings, "a casino", PROSE)
    assert first
    assert second == ""


def test_a_formatter_of_datatrove_changes_only_the_documents_that_its_rule_is_for() -> None:
    rule = {
        "datatrove": {"step": "datatrove.pipeline.formatters.FTFYFormatter"},
        "languages": ["fr"],
    }
    batch = make_batch(["schÃ¶n", "schÃ¶n"]).with_languages(
        ["fr", "de"], make_batch(["", ""]).scores
    )
    left = apply_rules([DataRule.model_validate(rule)], batch, Rejects(lambda columns: None))
    assert left.texts == ["schön", "schÃ¶n"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": "datatrove.pipeline.filters.NoSuchFilter"}, "has no block"),
        (
            {"step": "datatrove.pipeline.filters.RegexFilter", "arguments": {"nonsense": 1}},
            "does not take the arguments.*nonsense",
        ),
    ],
)
def test_a_wrong_block_is_refused_with_its_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        reasons("datatrove", settings, "x")


def test_nothing_outside_datatrove_can_be_named() -> None:
    with pytest.raises(ValueError, match="pattern"):
        DataRule.model_validate({"datatrove": {"step": "os.system"}})
