"""Amounts with suffixes are read exactly, or refused with an example."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pretrain_api.quantities import Duration, format_duration, parse_duration, parse_quantity


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (0, 0),
        (512, 512),
        ("512", 512),
        ("100G", 100_000_000_000),
        ("1.5T", 1_500_000_000_000),
        ("10Gi", 10 * 2**30),
        ("500k", 500_000),
        (" 2M ", 2_000_000),
    ],
)
def test_quantities_are_exact_integers(text: int | str, want: int) -> None:
    assert parse_quantity(text) == want


@pytest.mark.parametrize("text", ["", "G", "-1", -1, "1e9", "0.5", "1,000", "10GB", True, "١"])
def test_what_is_no_quantity_is_refused(text: int | str) -> None:
    with pytest.raises(ValueError, match=r"quantity|negative|whole"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "want"), [("90s", 90), ("20m", 1200), ("24h", 86400), ("7d", 604800), ("1h30m", 5400)]
)
def test_durations_are_seconds(text: str, want: int) -> None:
    assert parse_duration(text) == want


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "1.5h", "5 m", True, -1])
def test_what_is_no_duration_is_refused(text: int | str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_a_duration_survives_the_wire(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds
    adapter: TypeAdapter[int] = TypeAdapter(Duration)
    assert adapter.validate_python(adapter.dump_python(seconds)) == seconds


@given(st.text(max_size=12))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_quantity(text) >= 0


def test_a_wrong_quantity_in_a_model_is_a_validation_error() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python("soon")
