"""Timestamps, as Kubernetes writes them."""

from datetime import UTC, datetime


def format_time(at: datetime) -> str:
    """Return `at` as RFC 3339 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Return the time of an RFC 3339 timestamp.

    Raises:
        ValueError: If `text` is not a timestamp.
    """
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def read_time(text: str | None) -> datetime | None:
    """Return the time of a timestamp in a status; `None` if it is unset or unreadable.

    Another client may have written it.
    """
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def seconds_between(start: str, end: datetime) -> float:
    """Return the seconds from `start` to `end`; 0 if `start` is later."""
    return max(0.0, (end - parse_time(start)).total_seconds())
