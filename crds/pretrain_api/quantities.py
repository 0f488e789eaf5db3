"""Amounts that people write with a suffix (`100G`, `10Gi`, `20m`), read once into integers."""

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_LARGEST = 10**18
"""Keeps sums and products of a few amounts within 64 bits, which CEL's integers have."""
_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_LONGEST = 100 * 365 * 86400
"""Keeps the times before and after now by a duration within the years that a date may have."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([kMGTP]|[KMGTP]i)?")
_DURATION = re.compile(r"([0-9]{1,10})([smhd])")


def parse_quantity(text: int | str) -> int:
    """Return the integer that a Kubernetes-style quantity stands for: `1.5G` is 1,500,000,000.

    Raises:
        ValueError: If `text` is no quantity, is negative, or is no whole number.
    """
    if isinstance(text, bool) or not isinstance(text, int | str):
        raise ValueError(
            f"{text!r} is not a quantity; write an integer or for example 500M, 100G, 10Gi"
        )
    if isinstance(text, int):
        if text < 0:
            raise ValueError(f"{text} is negative")
        return _below_limit(text)
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is not a quantity; write an integer or for example 500M, 100G, 10Gi"
        )
    try:
        amount = Decimal(match[1]) * (_DECIMAL | _BINARY)[match[2] or ""]
    except InvalidOperation as error:  # pragma: no cover - the pattern admits digits only
        raise ValueError(f"{text!r} is not a quantity") from error
    if amount != int(amount):
        raise ValueError(f"{text!r} is not a whole number")
    return _below_limit(int(amount))


def _below_limit(amount: int) -> int:
    if amount > _LARGEST:
        raise ValueError(f"{amount} is larger than {_LARGEST}, the largest amount")
    return amount


def parse_duration(text: int | str) -> int:
    """Return the seconds of a duration such as `90s`, `20m`, `24h`, `7d` or `1h30m`.

    Raises:
        ValueError: If `text` is no duration, or is longer than 100 years.
    """
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return _below_longest(text)
    if isinstance(text, str) and re.fullmatch(rf"(?:{_DURATION.pattern})+", text):
        seconds = (int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
        return _below_longest(sum(seconds))
    raise ValueError(f"{text!r} is not a duration; write for example 90s, 20m, 24h or 7d")


def _below_longest(seconds: int) -> int:
    if seconds > _LONGEST:
        raise ValueError(f"{seconds} s is longer than 100 years, the longest duration")
    return seconds


def format_duration(seconds: int) -> str:
    """Return `seconds` in the form that `parse_duration` reads back."""
    return f"{seconds}s"


_QUANTITY_SCHEMA: dict[str, Any] = {
    "x-kubernetes-int-or-string": True,
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "maxLength": 20,
    "minimum": 0,
    "pattern": r"^[0-9]{1,15}(\.[0-9]{1,9})?([kMGTP]|[KMGTP]i)?$",
    "x-kubernetes-validations": [
        {
            "rule": "isQuantity(string(self)) && quantity(string(self)).isInteger()"
            f" && quantity(string(self)).asInteger() <= {_LARGEST}",
            "message": f"is no whole number up to {_LARGEST}; write for example 500M, 100G or 10Gi",
        }
    ],
}
_DURATION_SCHEMA: dict[str, Any] = {
    "type": "string",
    "maxLength": 20,
    "pattern": r"^([0-9]{1,10}[smhd])+$",
}

Quantity = Annotated[
    int, BeforeValidator(parse_quantity), WithJsonSchema(_QUANTITY_SCHEMA, mode="validation")
]
"""A count (tokens, bytes), written as an integer or with a suffix: `100G`, `1.5T`, `10Gi`."""

Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA, mode="validation"),
]
"""Seconds, written with a unit: `90s`, `20m`, `24h`, `7d`."""
