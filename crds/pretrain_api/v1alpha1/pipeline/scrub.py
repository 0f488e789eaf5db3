"""Scrubbing of a DataPipeline: personal data and secrets that are masked, or drop a document."""

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.meta import ApiModel

Action = Literal["keep", "mask", "drop"]


class Scrub(ApiModel):
    """What to do with personal data: keep it, mask it (`<email>`), or drop the whole document."""

    emails: Action = "keep"
    """E-mail addresses."""

    phone_numbers: Action = "keep"
    """Chinese mobile and landline numbers, and international ones with `+` and country code."""

    id_cards: Action = "keep"
    """Numbers of Chinese identity cards; their check digit must be right."""

    bank_cards: Action = "keep"
    """Card numbers of 16 to 19 digits; their check digit must be right."""

    ip_addresses: Action = "keep"
    """IPv4 and IPv6 addresses, but no version numbers."""

    keys: Action = "keep"
    """Access keys and tokens of well-known services, JSON web tokens, private keys, and values of
    variables such as `api_key` that look random."""

    plates: Action = "keep"
    """Chinese licence plates."""

    passports: Action = "keep"
    """Passport numbers after the word for passport."""

    titled_names: Action = "keep"
    """Names before Chinese titles (`王伟先生`) and after English ones (`Dr. Smith`)."""

    names: Annotated[
        list[Annotated[str, Field(min_length=2, max_length=64)]], Field(max_length=10_000)
    ] = []
    """Names that are masked wherever they stand."""

    boilerplate: Literal["keep", "remove"] = "keep"
    """Whether lines about the origin of a copied page are removed: `转载自…`, `责任编辑：…`."""

    references: Literal["keep", "remove"] = "keep"
    """Whether a list of references at the end of a text is removed."""
