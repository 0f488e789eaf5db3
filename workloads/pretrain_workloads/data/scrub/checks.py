"""Check digits, entropy, and the words before a match: what tells data from look-alikes."""

import ipaddress
import math
import re
from collections import Counter

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"

_RANDOM_BITS = 3.2
"""Bits for each character from which a value looks random; words of any language have fewer."""

_VERSION = re.compile(r"(?:\bv|[Vv]ersion|[Vv]er\.?|release|Release|版本|==|>=|<=|~=)\s*[:=]?\s*$")
_PASSPORT = re.compile(r"(?:护照|[Pp]assport)[^\n]{0,16}$")


def is_id_card(digits: str, before: str) -> bool:
    """Return whether the check digit of an identity card is right.

    Source: GB 11643-1999, ISO 7064 MOD 11-2.
    """
    total = sum(int(digit) * weight for digit, weight in zip(digits, _ID_WEIGHTS, strict=False))
    return _ID_CHECKS[total % 11] == digits[-1].upper()


def is_bank_card(match: str, before: str) -> bool:
    """Return whether the check digit of a card number is right, and some issuer starts so.

    Source: ISO/IEC 7812, the Luhn algorithm.
    """
    digits = [int(character) for character in match if character.isdigit()]
    if len(digits) not in (16, 19) or digits[0] not in (3, 4, 5, 6) or len(set(digits)) < 4:
        return False
    doubled = [2 * d - 9 * (d > 4) if place % 2 else d for place, d in enumerate(digits[::-1])]
    return sum(doubled) % 10 == 0


def is_address(match: str, before: str) -> bool:
    """Return whether a match is an IP address of a machine, and not a version number."""
    try:
        address = ipaddress.ip_address(match)
    except ValueError:
        return False
    plain = address.is_unspecified or address.is_loopback
    return not plain and _VERSION.search(before) is None


def is_international_number(match: str, before: str) -> bool:
    """Return whether a match has as many digits as a telephone number with its country code."""
    return 9 <= sum(map(str.isdigit, match)) <= 15


def is_random(match: str, before: str) -> bool:
    """Return whether a value looks random: letters and digits, and much entropy."""
    value = match
    if not (any(map(str.isdigit, value)) and any(map(str.isalpha, value))):
        return False
    counts = Counter(value).values()
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    return bits >= _RANDOM_BITS


def has_digit(match: str, before: str) -> bool:
    """Return whether a match has a digit."""
    return any(map(str.isdigit, match))


def follows_passport(match: str, before: str) -> bool:
    """Return whether the word for passport stands shortly before a match."""
    return _PASSPORT.search(before) is not None
