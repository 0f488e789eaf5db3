from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches import concatenate, make_batch
from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.data.rules.apply import apply_rules
from pretrain_workloads.data.rules.rejects import Rejects, merge_samples


def document(name: str, text: str, **columns: Any) -> Batch:
    defaults = {"language": "en", "domain": "web", "source": "s"}
    score = columns.pop("score", 1.0)
    batch = make_batch([text], ids=[name], **(defaults | columns))
    return replace(batch, origins=[name], scores=np.array([score], np.float32))


def apply(rules: list[dict[str, Any]], documents: list[Batch]) -> tuple[list[str], Rejects]:
    rejects = Rejects(lambda columns: None)
    parsed = [DataRule.model_validate(rule) for rule in rules]
    kept = apply_rules(parsed, concatenate(documents), rejects) if documents else None
    return kept.ids if kept else [], rejects


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


def test_every_dropped_document_is_recorded_with_its_rule_and_the_reason() -> None:
    recorded: list[dict[str, Any]] = []
    batch = concatenate([document("a", "x"), document("b", "long enough"), document("c", "y")])
    rules = [DataRule.model_validate({"length": {"minCharacters": 5}})]
    apply_rules(rules, batch, Rejects(recorded.append))
    assert [columns["origin"] for columns in recorded] == [["a", "c"]]
    assert recorded[0]["rule"] == ["1-length"] * 2
    assert recorded[0]["reason"] == ["1 characters, fewer than 5"] * 2
