from typing import Any

import pytest
from datatrove.data import Document
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.v1alpha1.datapipeline import DataRule
from pretrain_workloads.data.rules.apply import ApplyRules
from pretrain_workloads.data.rules.rejects import Rejects, merge_samples


def document(name: str, text: str, **metadata: Any) -> Document:
    defaults = {"language": "en", "score": 1.0, "domain": "web", "source": "s"}
    return Document(text=text, id=name, metadata=defaults | metadata)


def apply(rules: list[dict[str, Any]], documents: list[Document]) -> tuple[list[str], Rejects]:
    rejects = Rejects()
    step = ApplyRules([DataRule.model_validate(rule) for rule in rules], rejects)
    return [kept.id for kept in step(iter(documents), 0, 1)], rejects


def test_a_document_is_charged_to_the_first_rule_that_drops_it() -> None:
    rules: list[dict[str, Any]] = [
        {"length": {"minCharacters": 3}},
        {"languageId": {"keep": ["en"]}},
    ]
    documents = [
        document("short", "a", language="fr"),
        document("french", "abcd", language="fr"),
        document("good", "abcd"),
    ]
    kept, rejects = apply(rules, documents)
    assert kept == ["good"]
    assert dict(rejects.counts) == {"1-length": 1, "2-languageId": 1}
    assert rejects.samples["1-length"][0]["reason"] == "1 characters, fewer than 3"


@pytest.mark.parametrize(
    ("limit", "want"),
    [
        ({"languages": ["zh"]}, ["a", "b"]),
        ({"domains": ["web"]}, ["b"]),
        ({"domains": ["web"], "languages": ["en"]}, ["b"]),
        ({}, []),
    ],
)
def test_a_rule_looks_only_at_its_languages_and_domains(
    limit: dict[str, Any], want: list[str]
) -> None:
    documents = [document("a", "x"), document("b", "x", domain="books")]
    assert apply([{"length": {"minCharacters": 5}} | limit], documents)[0] == want


def test_an_uncertain_language_is_dropped_with_its_score() -> None:
    rules = [{"languageId": {"minScore": 0.6}}]
    kept, rejects = apply(rules, [document("a", "x", score=0.5), document("b", "x", score=0.7)])
    assert kept == ["b"]
    assert (
        rejects.samples["1-languageId"][0]["reason"] == "language en with score 0.50, less than 0.6"
    )


def test_too_long_a_document_is_dropped() -> None:
    assert apply([{"length": {"maxCharacters": 2}}], [document("a", "abc")])[0] == []


@given(st.integers(0, 200), st.integers(1, 7))
def test_the_sample_of_rejects_does_not_depend_on_the_tasks(count: int, tasks: int) -> None:
    documents = [document(f"d{number}", f"text {number}") for number in range(count)]
    rules = [{"length": {"minCharacters": 100}}]
    whole = apply(rules, documents)[1].samples
    shares = [documents[rank::tasks] for rank in range(tasks)]
    assert merge_samples([apply(rules, share)[1].samples for share in shares]) == whole
