"""Amounts as properties: exact, within their limits, and read alike by types and CRD."""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from pretrain_api.quantities import (
    Duration,
    Quantity,
    format_duration,
    parse_duration,
    parse_quantity,
)

LARGEST = 10**18
FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15} | {
    f"{letter}i": 2 ** (10 * power) for power, letter in enumerate("KMGTP", start=1)
}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
CENTURY = 100 * 365 * 86400

AMOUNT = TypeAdapter[int](Quantity)
LENGTH = TypeAdapter[int](Duration)


def pattern_of(adapter: TypeAdapter[int]) -> re.Pattern[str]:
    """Return the pattern by which the API server checks a value."""
    return re.compile(adapter.json_schema(mode="validation")["pattern"])


@given(
    whole=st.integers(0, 10**6),
    decimals=st.text("0123456789", max_size=9),
    suffix=st.sampled_from(sorted(FACTORS)),
)
def test_a_quantity_is_exactly_its_number_times_its_suffix(
    whole: int, decimals: str, suffix: str
) -> None:
    text = f"{whole}.{decimals}{suffix}" if decimals else f"{whole}{suffix}"
    want = Fraction(f"{whole}.{decimals or 0}") * FACTORS[suffix]
    assert pattern_of(AMOUNT).fullmatch(text)
    if want.denominator == 1 and want <= LARGEST:
        assert parse_quantity(text) == want
    else:
        with pytest.raises(ValueError, match=r"is not a whole number|the largest amount"):
            parse_quantity(text)


@given(st.from_regex(r"\A[0-9.kKMGTPi+-]{0,20}\Z"))
def test_a_text_that_the_crd_refuses_is_refused_by_the_type(text: str) -> None:
    if pattern_of(AMOUNT).search(text) is None:
        with pytest.raises(ValueError, match="quantity"):
            parse_quantity(text)


@pytest.mark.parametrize("text", ["1E", "1Ei", "1K", "1ki", "1m", "1u", "1e3", "+1", "1.", ".5"])
def test_the_type_and_the_crd_refuse_the_same_suffixes(text: str) -> None:
    assert pattern_of(AMOUNT).search(text) is None
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("amount", [LARGEST, "1000P", "1000000T", str(10**15 - 1) + "k"])
def test_up_to_the_largest_amount_all_are_read(amount: int | str) -> None:
    assert 0 < parse_quantity(amount) <= LARGEST


@pytest.mark.parametrize("amount", [LARGEST + 1, "1001P", "900Pi", 10**400])
def test_larger_amounts_are_refused_with_the_limit(amount: int | str) -> None:
    with pytest.raises(ValueError, match=f"is larger than {LARGEST}"):
        parse_quantity(amount)


@pytest.mark.parametrize("value", [1.5, 2.0, None, [1], {"a": 1}, b"1G", False])
def test_other_types_than_numbers_and_text_are_no_quantities(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a quantity; write an integer or for example"):
        parse_quantity(value)
    with pytest.raises(ValidationError):
        AMOUNT.validate_python(value)


@given(st.integers(0, LARGEST))
def test_a_quantity_keeps_its_value_on_the_wire(amount: int) -> None:
    assert AMOUNT.validate_python(AMOUNT.dump_python(amount, mode="json")) == amount


@given(st.lists(st.tuples(st.integers(0, 9000), st.sampled_from("smhd")), min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == sum(number * SECONDS[unit] for number, unit in parts)
    assert pattern_of(LENGTH).fullmatch(text)


@pytest.mark.parametrize("text", ["36500d", "876000h", f"{CENTURY}s", CENTURY])
def test_a_century_is_the_longest_duration(text: int | str) -> None:
    seconds = parse_duration(text)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert now - timedelta(seconds=seconds) < now < now + timedelta(seconds=seconds)
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["36501d", "9999999999d", "36500d1s", CENTURY + 1, 10**400])
def test_a_duration_beyond_every_calendar_is_refused(text: int | str) -> None:
    """No date lies that long before now: the operator could not compute with it."""
    with pytest.raises(ValueError, match="is longer than 100 years"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1w", "1D", "٣s", "1 h", "h1", "1h30", "99999999999s", "1s\n"])
def test_the_type_and_the_crd_refuse_the_same_durations(text: str) -> None:
    assert pattern_of(LENGTH).fullmatch(text) is None
    with pytest.raises(ValueError, match="is not a duration; write for example 90s"):
        parse_duration(text)


def test_amounts_keep_their_units_when_a_model_is_written() -> None:
    class Model(BaseModel):
        size: Quantity
        time: Duration

    model = Model.model_validate({"size": "1.5k", "time": "1h30m"})
    assert model.model_dump(mode="json") == {"size": 1500, "time": "5400s"}
    assert Model.model_validate(model.model_dump(mode="json")) == model
