import pytest

from batches import make_batch
from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_workloads.data.rules.registry import RULES, drop_reasons

KINDS = set(DataRule.model_fields) - {"languages", "domains"}
"""Kinds of rules in the API."""


def test_every_kind_of_rule_in_the_api_is_registered() -> None:
    assert set(RULES) == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("texts", [[], ["a text"], ["a text", "another text"]])
def test_every_rule_gives_one_reason_a_document(kind: str, texts: list[str]) -> None:
    rule = DataRule.model_validate({kind: {}})
    assert drop_reasons(rule, make_batch(texts, language="en")) == [""] * len(texts)
