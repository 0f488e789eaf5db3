"""Shapes that given devices can train in a given time."""

from pretrain_api.profiles import DEVICES
from pretrain_operator.planner.suggestions import SuggestionRequest, shapes, suggest


def test_suggested_models_are_well_proportioned_and_finish_in_time() -> None:
    suggestions = suggest(SuggestionRequest(DEVICES["h100"], nodes=8, days=20, tokens=300 * 10**9))
    assert len(suggestions) == 3
    assert suggestions[0].parameters > suggestions[-1].parameters > 10**9
    for suggestion in suggestions:
        assert suggestion.days <= 20
    for model in shapes(128_256):
        assert model.hidden_size % 128 == 0 == model.ffn_hidden_size % 256
        assert model.attention_heads * model.head_dim == model.hidden_size
        assert model.attention_heads % model.query_groups == 0
        assert model.layers % 4 == 0


def test_no_model_is_suggested_that_would_not_finish() -> None:
    assert suggest(SuggestionRequest(DEVICES["cpu"], nodes=1, days=0.001)) == []
