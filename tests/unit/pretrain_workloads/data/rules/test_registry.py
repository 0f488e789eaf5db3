import pytest
from datatrove.data import Document

from pretrain_api.v1alpha1.datapipeline import DataRule
from pretrain_workloads.data.rules.registry import RULES, drop_reasons

KINDS = set(DataRule.model_fields) - {"languages", "domains"}
"""Kinds of rules in the API."""

METADATA = {"language": "en", "score": 1.0, "domain": "web", "source": "s"}


def test_every_kind_of_rule_in_the_api_is_registered() -> None:
    assert set(RULES) == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("texts", [[], ["a text"], ["a text", "another text"]])
def test_every_rule_gives_one_reason_a_document(kind: str, texts: list[str]) -> None:
    rule = DataRule.model_validate({kind: {}})
    documents = [Document(text=text, id="d", metadata=METADATA) for text in texts]
    assert drop_reasons(rule, documents) == [""] * len(texts)
