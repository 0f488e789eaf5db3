from typing import Any

import pytest

from batches import make_batch
from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_workloads.data.rules.registry import BLOCKS, RULES, apply_rule, step_title

HARMLESS: dict[str, dict[str, Any]] = {
    "character_ratio": {"of": "han"},
    "phrases": {"drop": ["博彩"]},
    "datatrove": {"step": "datatrove.pipeline.formatters.FTFYFormatter"},
}
"""Settings of the kinds of rules that need some, and drop nothing."""


def test_every_kind_of_rule_in_the_api_is_registered() -> None:
    assert sorted([*RULES, *BLOCKS]) == sorted(DataRule.kinds())


@pytest.mark.parametrize("kind", DataRule.kinds())
@pytest.mark.parametrize("texts", [[], ["a text"], ["a text", "another text"]])
def test_every_rule_gives_one_reason_a_document(kind: str, texts: list[str]) -> None:
    rule = DataRule.model_validate({kind: HARMLESS.get(kind, {})})
    assert apply_rule(rule, make_batch(texts, language="en")) == (texts, [""] * len(texts))


@pytest.mark.parametrize(
    ("key", "want"),
    [("2-repetition", "rule 2-repetition"), ("996-quality", "quality"), ("999-scrub", "scrub")],
)
def test_a_step_after_the_rules_is_not_called_a_rule(key: str, want: str) -> None:
    assert step_title(key) == want
