from dataclasses import replace
from typing import Any

import pytest

from data_runs import tokenizer_spec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.tokenizer.acceptance import check_acceptance
from pretrain_workloads.tokenizer.measure import TokenizerMeasures, TokenizerMismatch

MEASURES = TokenizerMeasures(
    characters_per_token={"zh": 1.2, "en": 4.5},
    bytes_per_token={"zh": 3.6, "en": 4.5},
    used_ids=900,
    byte_fallback=0.01,
    changed=0.0,
    example="",
)


def spec(**changes: Any) -> TokenizerSpec:
    return TokenizerSpec.model_validate(tokenizer_spec("file:///pretrain/data") | changes)


@pytest.mark.parametrize(
    "acceptance",
    [
        {},
        {"charactersPerToken": {"zh": {"min": 1.0, "max": 1.5}, "en": {"min": 4}}},
        {"maxByteFallback": 0.01},
    ],
)
def test_a_tokenizer_within_its_limits_is_accepted(acceptance: dict[str, Any]) -> None:
    check_acceptance(spec(acceptance=acceptance), MEASURES)


def test_every_failed_gate_is_named_with_what_was_measured_and_what_would_do() -> None:
    limits = {"zh": {"min": 1.3}, "en": {"max": 4}, "code": {"min": 2}}
    acceptance = {"charactersPerToken": limits, "maxByteFallback": 0.005}
    with pytest.raises(UserError) as refused:
        check_acceptance(spec(acceptance=acceptance), MEASURES)
    code, english, chinese, fallback = _parts(refused)
    assert "code: there are no documents to measure; languages are en, zh" in code
    assert "en.max: 4.5 characters a token, more than 4" in english
    assert "zh.min: 1.2 characters a token, fewer than 1.3; raise vocabularySize" in chinese
    assert "maxByteFallback: 0.01 of the tokens are single bytes, more than 0.005" in fallback


def test_text_that_does_not_come_back_is_an_error_of_a_tokenizer_that_was_trained_here() -> None:
    measures = replace(MEASURES, changed=0.004, example="ﬁ")
    with pytest.raises(TokenizerMismatch, match="does not give back 'ﬁ'"):
        check_acceptance(spec(), measures)


def test_an_existing_tokenizer_may_change_few_documents() -> None:
    measures = replace(MEASURES, changed=0.004, example="ﬁ")
    existing = {"uri": "file:///pretrain/data/qwen"}
    check_acceptance(spec(existing=existing), measures)
    with pytest.raises(UserError, match=r"maxChanged: 0.400% of the documents .* more than 0.100%"):
        check_acceptance(spec(existing=existing | {"maxChanged": 0.001}), measures)


def _parts(refused: Any) -> list[str]:
    """Return the message of each gate."""
    return [f"spec.{part}" for part in str(refused.value).split("spec.")[1:]]
